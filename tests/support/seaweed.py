"""A real S3 store for tests: SeaweedFS on loopback, with a key that it checks. It dies with pytest, even by kill -9."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from taor_local.launch import Launch
from tests.support.postgres import owned_folder, roomy_folder
from tests.support.waiting import wait_until

BUCKET = "snapshots"
ACCESS_KEY = "test-key"
SECRET_KEY = "test-secret"
START_SECONDS = 60.0
STOP_SECONDS = 5.0
_HTTP = ("master", "volume", "filer", "s3", "admin")
_UNUSED = ("-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false", "-master.telemetry=false")


@dataclass
class Seaweed:
    """One server over a folder; it may be killed and started again."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where S3 is spoken."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def start(self) -> None:
        """Start, and return once the bucket is there. From the main thread: it dies with the thread that forked it."""
        self.folder.mkdir(exist_ok=True)
        if not self.ports:
            self.ports = _free_ports()
        identity = {"name": "test", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity | {"actions": ["Admin", "Read", "Write", "List"]}]}))
        launch = Launch(self._command(config))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                launch.tied_command(), env={"HOME": str(self.folder)}, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._answers, "SeaweedFS answers", timeout_seconds=START_SECONDS)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=STOP_SECONDS)

    def stop(self) -> None:
        """Ask it to end, then make it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _command(self, config: Path) -> tuple[str, ...]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        ports = [
            word
            for name in _HTTP
            for word in (f"-{name}.port={self.ports[name]}", f"-{name}.port.grpc={self.ports[f'{name}.grpc']}")
        ]
        return (
            str(Path(sys.executable).with_name("weed")), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            *ports, *_UNUSED, f"-s3.config={config}", f"-bucket={BUCKET}",
            f"-filer.localSocket={self.folder / 'filer.sock'}", f"-s3.localSocket={self.folder / 's3.sock'}",
        )  # fmt: skip

    def _answers(self) -> bool:
        """A volume takes contents, and the bucket can be listed: for a while after a start, it is told as not there."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        assign = urllib.request.Request(f"http://127.0.0.1:{self.ports['master']}/dir/assign")
        return _status(assign) == 200 and _status(_signed(f"{self.endpoint}/{BUCKET}?list-type=2&max-keys=1")) == 200


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """The run's store; tests keep apart by their prefixes."""
    yield from _running()


@pytest.fixture
def own_seaweed() -> Iterator[Seaweed]:
    """A store that the test may kill."""
    yield from _running()


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's key where boto3 looks for it, and nothing else that it might find."""
    give_credentials(monkeypatch)


def give_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the store's key into the environment, and take away what else is there."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _running() -> Iterator[Seaweed]:
    folder = owned_folder(roomy_folder())
    server = Seaweed(folder.path / "seaweed")
    server.start()
    yield server
    server.stop()
    folder.remove()


def _signed(url: str) -> urllib.request.Request:
    """A GET with the store's key."""
    request = AWSRequest("GET", url)
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", "us-east-1").add_auth(request)
    return urllib.request.Request(url, headers=dict(request.headers))


def _status(request: urllib.request.Request) -> int | None:
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code
    except OSError:
        return None


def _free_ports() -> dict[str, int]:
    names = [name for each in _HTTP for name in (each, f"{each}.grpc")]
    with ExitStack() as stack:
        ports: dict[str, int] = {}
        for name in names:
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            ports[name] = sock.getsockname()[1]
        return ports
