"""`taor files`, `preview` and `status` as processes, against the sandbox's contract over a real socket."""

import asyncio
import io
import json
import os
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceServicer, add_SandboxServiceServicer_to_server

from taor_chassis.server import Registration, running_server
from tests.support.recorded_orchestrator import TOKEN, RecordedOrchestrator, seconds_in, serving

RUN_SECONDS = 60.0
CHUNK_BYTES = 1000
Context = grpc.aio.ServicerContext[object, object]


class RecordedSandbox(SandboxServiceServicer):
    """One archive and one preview, for every build."""

    def __init__(self) -> None:
        self.archive = b""
        self.preview_url = ""
        self.preview_ports: list[int] = []
        self.formats: list[str] = []

    async def DownloadFiles(  # noqa: N802 - named by the contract
        self, request: pb.DownloadFilesRequest, context: Context
    ) -> AsyncIterator[pb.DownloadFilesResponse]:
        self.formats.append(pb.DownloadFilesRequest.Format.Name(request.format))
        for start in range(0, len(self.archive), CHUNK_BYTES):
            yield pb.DownloadFilesResponse(content=self.archive[start : start + CHUNK_BYTES])

    async def CreatePreview(  # noqa: N802 - named by the contract
        self, request: pb.CreatePreviewRequest, context: Context
    ) -> pb.CreatePreviewResponse:
        self.preview_ports.append(request.port)
        return pb.CreatePreviewResponse(url=self.preview_url, expire_time=seconds_in(1800))


@dataclass
class Program:
    """A program behind a preview: an HTTP server that answers one status and remembers what it was asked."""

    status: int = 200
    hosts: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.hosts += [line[6:] for line in request.splitlines() if line.startswith("Host: ")]
        writer.write(f"HTTP/1.1 {self.status} Thus\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@dataclass
class Installation:
    """Two recorded services, and a program behind the preview."""

    orchestrator: RecordedOrchestrator
    sandbox: RecordedSandbox
    program: Program
    environment: dict[str, str]

    async def taor(self, *arguments: str) -> tuple[int, str, str]:
        """Run `taor` to its end: exit code, standard output, standard error."""
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, **self.environment, "NO_COLOR": "1"}
        command = (sys.executable, "-m", "taor_cli", *arguments)
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)
        async with asyncio.timeout(RUN_SECONDS):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    sandbox = RecordedSandbox()  # type: ignore[abstract] # two of its methods are called
    orchestrator, program = RecordedOrchestrator(), Program()
    registration = Registration(
        "taor.sandbox.v1.SandboxService", partial(add_SandboxServiceServicer_to_server, sandbox)
    )
    async with AsyncExitStack() as stack:
        builds = await stack.enter_async_context(serving(orchestrator))
        files = await stack.enter_async_context(running_server(services=[registration], token=TOKEN, drain_seconds=0))
        server = await stack.enter_async_context(await asyncio.start_server(program.answer, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        sandbox.preview_url = f"http://abc123.localhost:{port}/"
        orchestrator.new_build().preview_port = 8000
        yield Installation(
            orchestrator,
            sandbox,
            program,
            {"TAOR_TARGET": builds, "TAOR_SANDBOX_TARGET": files, "TAOR_TOKEN": TOKEN},
        )


async def test_the_files_of_a_build_come_into_a_new_folder(installation: Installation, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("./app/main.py")
        info.size = 5_000
        tar.addfile(info, io.BytesIO(b"x" * 5_000))
    installation.sandbox.archive = buffer.getvalue()
    folder = tmp_path / "shop"
    code, out, err = await installation.taor("files", "latest", "-o", str(folder), "--json")
    assert code == 0, err
    assert (json.loads(out)["files"], json.loads(out)["bytes"]) == (1, 5_000)
    assert (folder / "app/main.py").read_bytes() == b"x" * 5_000
    code, _, err = await installation.taor("files", "latest", "-o", str(folder))
    assert code == 2
    assert "not an empty folder" in err


async def test_files_can_stay_packed(installation: Installation, tmp_path: Path) -> None:
    installation.sandbox.archive = b"# v2 git bundle" * 1_000
    bundle = tmp_path / "shop.bundle"
    code, out, err = await installation.taor("files", "--format", "git-bundle", "-o", str(bundle), "--json")
    assert code == 0, err
    assert json.loads(out)["bytes"] == 15_000
    assert bundle.read_bytes() == installation.sandbox.archive
    assert installation.sandbox.formats == ["GIT_BUNDLE"]
    code, _, err = await installation.taor("files", "--format", "zip", "-o", str(bundle))
    assert code == 2
    assert "exists" in err


async def test_a_preview_is_dialled_on_loopback_with_its_host(installation: Installation) -> None:
    code, out, err = await installation.taor("preview")
    assert code == 0, err
    assert out.strip() == installation.sandbox.preview_url
    assert installation.sandbox.preview_ports == [8000]
    assert installation.program.hosts == [installation.sandbox.preview_url.split("/")[2]]


async def test_a_preview_that_does_not_answer_200_fails(installation: Installation) -> None:
    installation.program.status = 502
    code, out, err = await installation.taor("preview", "latest", "--port", "9000", "--json")
    assert code == 1
    assert json.loads(out)["http_status"] == 502
    assert json.loads(err)["error"]["reason"] == "PREVIEW_FAILED"
    assert installation.sandbox.preview_ports == [9000]


async def test_status_names_the_service_that_does_not_answer(installation: Installation) -> None:
    installation.environment |= {"TAOR_BUDGET_TARGET": "127.0.0.1:1"}
    installation.environment |= {"TAOR_CHECKPOINT_TARGET": installation.environment["TAOR_TARGET"]}
    code, out, _ = await installation.taor("status", "--json")
    assert code == 1
    assert {it["service"]: it["healthy"] for it in json.loads(out)["services"]} == {
        "orchestrator": True,
        "budget": False,
        "checkpoint": True,
        "sandbox": True,
    }
