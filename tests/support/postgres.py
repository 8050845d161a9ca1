"""Real PostgreSQL for tests: one server per run, one fresh database per test.

`database` yields the DSN of an empty database. `migrated_database("taor_budget")` returns the DSN of a database with
the migrations of that package; they run once per session, each call copies the result. Both take about 15 ms.
Runs of several people do not meet: each has its own folder and no port. The server dies with pytest, even by kill -9.
"""

import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from taor_local import postgres
from taor_local.folder_lock import try_lock
from tests.support.loop_thread import LoopThread

FOLDER_PREFIX = "taor-test-"
ROOMY_BYTES = 2 * 1024**3
MigratedDatabase = Callable[[str], str]


class PostgresServer:
    """A running server with a superuser's connection, and databases made from templates."""

    def __init__(self, cluster: postgres.Cluster) -> None:
        self.cluster = cluster
        self._loop = LoopThread()
        self._admin = self._loop.run(asyncpg.connect(cluster.dsn()))
        self._numbers = itertools.count(1)
        self._templates: dict[str, str] = {}

    def create(self, template: str = "template0") -> str:
        """Make a database and return its name."""
        name = f"test_{next(self._numbers)}"
        self._loop.run(self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._loop.run(self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    def template(self, package: str) -> str:
        """Name a database that holds the migrations of the package; made at the first call."""
        if package not in self._templates:
            from taor_chassis import migrations  # here, so that `database` works without the chassis

            name = self.create()
            self._loop.run(migrations.migrate(self.cluster.dsn(name), package=package))
            self._templates[package] = name
        return self._templates[package]

    def close(self) -> None:
        """Close the superuser's connection."""
        self._loop.run(self._admin.close())
        self._loop.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL without fsync, in memory where there is room."""
    folder = owned_folder(roomy_folder())
    home = folder.path / "pg"
    cluster = postgres.Cluster(home, home / "socket", secrets.token_hex(16), postgres.NOT_DURABLE)
    postgres.initialise(cluster)
    process = _start(cluster, folder.path / "log")
    server = PostgresServer(cluster)
    yield server
    server.close()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    folder.remove()


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The DSN of a fresh, empty database."""
    name = postgres_server.create()
    yield postgres_server.cluster.dsn(name)
    postgres_server.drop(name)


@pytest.fixture
def migrated_database(postgres_server: PostgresServer) -> Iterator[MigratedDatabase]:
    """A function from a package's name to the DSN of a fresh database with its migrations."""
    names: list[str] = []

    def make(package: str) -> str:
        names.append(postgres_server.create(postgres_server.template(package)))
        return postgres_server.cluster.dsn(names[-1])

    yield make
    for name in names:
        postgres_server.drop(name)


def _start(cluster: postgres.Cluster, log_path: Path) -> subprocess.Popen[bytes]:
    launch = postgres.launch(cluster)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            launch.tied_command(),
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    loop = LoopThread()
    try:
        loop.run(postgres.wait_until_ready(cluster))
    except TimeoutError:
        raise AssertionError(f"PostgreSQL did not start: {log_path.read_text()}") from None
    finally:
        loop.close()
    return process


@dataclass(frozen=True, slots=True)
class OwnedFolder:
    """A temporary folder whose lock says that this run lives."""

    path: Path
    lock: int

    def remove(self) -> None:
        """Remove the folder and give up the lock."""
        shutil.rmtree(self.path)
        os.close(self.lock)


def roomy_folder() -> Path:
    """Choose memory where there is room for databases, else the disk."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOMY_BYTES:
        return memory
    return Path(tempfile.gettempdir())


def owned_folder(parent: Path) -> OwnedFolder:
    """Make a folder of this run, and remove those of runs that were killed.

    It gets its final name only once it is locked, so that another run never takes it for an abandoned one.
    """
    _sweep(parent)
    unfinished = Path(tempfile.mkdtemp(prefix="taor-new-", dir=parent))
    lock = try_lock(unfinished / "owner")
    assert lock is not None
    unfinished.chmod(0o711)  # when started as root the server is somebody else, who must pass through
    return OwnedFolder(unfinished.rename(parent / unfinished.name.replace("taor-new-", FOLDER_PREFIX)), lock)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        if folder.stat().st_uid != os.geteuid():
            continue
        lock = try_lock(folder / "owner")
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
