"""Starts and stops the service within a test, and speaks to it for one build."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceStub

from taor_chassis.boundary import error_info
from taor_chassis.client import open_channel
from taor_chassis.clock import SystemClock
from taor_chassis.database import running_pool
from taor_chassis.server import running_server
from taor_sandbox.adoption import adopt
from taor_sandbox.app import assembled
from taor_sandbox.backends.errors import SandboxGone
from taor_sandbox.backends.port import Backend, Live, Sandbox
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.config import SandboxConfig
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.reaper import Reaper
from taor_sandbox.rotation import Rotation
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.operations import Operations
from taor_sandbox.store.sandboxes import Sandboxes
from taor_sandbox.store.snapshots import Snapshots

Answer = TypeVar("Answer")


class Following:
    """One open Dispatch stream, after its first output."""

    def __init__(self, call: "grpc.aio.UnaryStreamCall[pb.DispatchRequest, pb.DispatchResponse]") -> None:
        self._call = call
        self._responses = aiter(call)
        self.output = b""

    async def wait_for_output(self) -> None:
        """Return once the command has said something."""
        self.output += (await anext(self._responses)).output

    async def result(self) -> pb.ToolResult:
        """The result; what comes before it is added to the output."""
        async for response in self._responses:
            if response.HasField("result"):
                return response.result
            self.output += response.output
        raise AssertionError("the stream ended without a result")

    def detach(self) -> None:
        """Break the stream."""
        self._call.cancel()


class Harness:
    """One service, one build."""

    def __init__(self, config: SandboxConfig, backend: Backend) -> None:
        self.config = config
        self.backend = backend
        self.build_id = str(uuid.uuid4())
        self.epoch = 1
        self.owner = "boot-1"
        self.attaches = 0
        self.generation = 0
        self.other_sessions = Sessions(backend)
        self._stack = AsyncExitStack()
        self._channels = AsyncExitStack()

    async def start(self) -> None:
        """Start the service and dial it."""
        stopping = asyncio.Event()
        services = await self._stack.enter_async_context(assembled(self.config, self.backend, stopping))
        address = await self._stack.enter_async_context(
            running_server(services=services, token=self.config.token, stopping=stopping, drain_seconds=1)
        )
        self.pool = await self._stack.enter_async_context(running_pool(self.config.dsn, max_size=2))
        self.reaper = self._make_reaper()
        await self.dial(address)

    def beside(self) -> "Harness":
        """Another build of the same service; it is this one that stops the service."""
        other = Harness(self.config, self.backend)
        other.stub, other.pool, other.address = self.stub, self.pool, self.address
        return other

    async def dial(self, address: str) -> None:
        """Speak to a service that is there."""
        self.address = address
        channel = open_channel(address, token=self.config.token, default_timeout_seconds=30)
        self.stub = SandboxServiceStub(await self._channels.enter_async_context(channel))

    async def stop(self) -> None:
        """Drain and stop; sandboxes go on."""
        await self.other_sessions.close()
        await self._stack.aclose()
        await self._channels.aclose()

    async def restart(self) -> None:
        """Stop and start again, as a new release would."""
        await self.stop()
        await self.start()

    async def destroy_sandboxes(self) -> None:
        """Leave nothing of this test running."""
        for listing in await self.backend.list():
            await self.backend.destroy(listing.provider_id)

    def _make_reaper(self) -> Reaper:
        """A reaper as another replica of the service would run it."""
        builds, sandboxes, snapshots = Builds(self.pool), Sandboxes(self.pool), Snapshots(self.pool)
        destroyer = Destroyer(sandboxes, self.backend)
        blobs = DirectoryBlobs(self.config.blobs, SystemClock())
        margin = self.config.rotation_margin_seconds
        rotation = Rotation(builds, Operations(self.pool), self.backend, margin_seconds=margin)
        return Reaper(builds, sandboxes, snapshots, self.other_sessions, destroyer, self.backend, blobs, rotation)

    async def adopt_elsewhere(self) -> None:
        """Let the other replica take in hand what runs."""
        await adopt(Builds(self.pool), self.other_sessions)

    async def pass_time(self, interval: str) -> None:
        """Let the database's clock run ahead."""
        await self.pool.execute(f"UPDATE taor_clock_offset SET offset_by = offset_by + interval '{interval}'")

    def age_blobs(self) -> None:
        """Let every blob look two hours old."""
        for path in self.config.blobs.glob("*/*/*"):
            os.utime(path, (time.time() - 7200, time.time() - 7200))

    async def attach(self, *, tail_sequence: int = 0) -> pb.AttachBuildResponse:
        """Attach once more under the present epoch and owner."""
        self.attaches += 1
        response: pb.AttachBuildResponse = await self.stub.AttachBuild(
            pb.AttachBuildRequest(
                build_id=self.build_id,
                epoch=self.epoch,
                owner=self.owner,
                attach_number=self.attaches,
                project_id="project",
                tail_sequence=tail_sequence,
            )
        )
        self.generation = response.generation
        return response

    def request(self, sequence: int, block: int = 0, **tool: object) -> pb.DispatchRequest:
        """A request for the operation at a position."""
        return pb.DispatchRequest(
            build_id=self.build_id,
            generation=self.generation,
            op_id=self.op_id(sequence, block),
            log_sequence=sequence,
            **{"epoch": self.epoch, **tool},  # type: ignore[arg-type] # one of the tools by its field name
        )

    async def run(self, request: pb.DispatchRequest) -> pb.ToolResult:
        """Dispatch and return the result."""
        async for response in self.stub.Dispatch(request):
            if response.HasField("result"):
                return response.result
        raise AssertionError("the stream ended without a result")

    async def begin(self, sequence: int, command: str) -> Following:
        """Start a command at a position of the log, and wait until it has said something."""
        following = Following(self.stub.Dispatch(self.request(sequence, bash=pb.Bash(command=command))))
        await following.wait_for_output()
        return following

    async def bash(self, sequence: int, command: str, block: int = 0, **more: object) -> pb.ToolResult:
        """Run a command at a position of the log."""
        return await self.run(self.request(sequence, block, bash=pb.Bash(command=command, **more)))  # type: ignore[arg-type] # fields of Bash

    def op_id(self, sequence: int, block: int = 0) -> str:
        """The id of the operation at a position."""
        return f"{self.build_id}/1/{sequence}/{block}"

    def take_over(self) -> None:
        """Go on as another owner, at the next epoch."""
        self.epoch += 1
        self.owner = f"boot-{self.epoch}"
        self.attaches = 0

    async def write(self, sequence: int, path: str, content: str) -> pb.ToolResult:
        """Write a file at a position of the log."""
        return await self.run(self.request(sequence, write_file=pb.WriteFile(path=path, content=content)))

    async def cancel(self, sequence: int) -> pb.Operation:
        """Kill the operation at a position."""
        request = pb.CancelOperationRequest(
            build_id=self.build_id, epoch=self.epoch, generation=self.generation, op_id=self.op_id(sequence)
        )
        response: pb.CancelOperationResponse = await self.stub.CancelOperation(request)
        return response.operation

    async def snapshot(self) -> pb.Snapshot:
        """Take a snapshot."""
        request = pb.TakeSnapshotRequest(build_id=self.build_id, epoch=self.epoch, generation=self.generation)
        response: pb.TakeSnapshotResponse = await self.stub.TakeSnapshot(request)
        return response.snapshot

    async def release(self, fate: pb.ReleaseSandboxRequest.Fate.ValueType) -> pb.Snapshot:
        """Let go of the sandbox."""
        request = pb.ReleaseSandboxRequest(
            build_id=self.build_id, epoch=self.epoch, generation=self.generation, fate=fate
        )
        response: pb.ReleaseSandboxResponse = await self.stub.ReleaseSandbox(request)
        return response.snapshot

    async def state(self) -> pb.GetSandboxResponse:
        """Where the sandbox stands."""
        response: pb.GetSandboxResponse = await self.stub.GetSandbox(pb.GetSandboxRequest(build_id=self.build_id))
        return response

    async def operations(self) -> list[pb.Operation]:
        """The journal of the build."""
        response: pb.ListOperationsResponse = await self.stub.ListOperations(
            pb.ListOperationsRequest(build_id=self.build_id)
        )
        return list(response.operations)

    async def download(self, form: pb.DownloadFilesRequest.Format.ValueType = pb.DownloadFilesRequest.TAR) -> bytes:
        """The project's files as an archive."""
        request = pb.DownloadFilesRequest(build_id=self.build_id, format=form)
        pieces = [each.content async for each in self.stub.DownloadFiles(request)]
        return b"".join(pieces)

    async def preview(self, port: int) -> str:
        """The address of a port of the sandbox."""
        response: pb.CreatePreviewResponse = await self.stub.CreatePreview(
            pb.CreatePreviewRequest(build_id=self.build_id, port=port)
        )
        return response.url

    async def touch(self, path: str) -> None:
        """Make a file behind the service's back."""
        async with self.sandbox() as sandbox:
            assert (await sandbox.run(["touch", path])).status == 0

    async def until_exists(self, path: str) -> None:
        """Wait for a file, behind the service's back."""
        async with self.sandbox() as sandbox:
            await self.until(lambda: sandbox.run(["test", "-e", path]), lambda result: result.status == 0)

    async def lose_sandbox(self) -> None:
        """Let the sandbox vanish, as providers do."""
        await self.backend.destroy(f"{self.build_id}/{self.generation}")

    @asynccontextmanager
    async def sandbox(self) -> AsyncIterator[Sandbox]:
        """A handle of our own on the sandbox."""
        sandbox = await self.backend.attach(f"{self.build_id}/{self.generation}")
        yield sandbox
        await sandbox.close()

    async def is_live(self, sequence: int) -> bool:
        """Whether the command of an operation runs now, in the sandbox of this generation."""
        try:
            async with self.sandbox() as sandbox:
                return isinstance(await sandbox.look(self.op_id(sequence)), Live)
        except SandboxGone:
            return False

    async def until_state(self, wanted: pb.GetSandboxResponse.State.ValueType) -> None:
        """Wait until the sandbox stands there."""
        await self.until(self.state, lambda found: found.state == wanted)

    async def until_attached(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask, attaching again for as long as the sandbox was replaced meanwhile, as an orchestrator does."""
        for _ in range(5):
            try:
                return await ask()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.ABORTED:
                    raise
                await self.attach()
        raise AssertionError("the sandbox is replaced again and again")

    async def until(self, ask: Callable[[], Awaitable[Answer]], is_right: Callable[[Answer], bool]) -> Answer:
        """Ask until the answer is right, for ten seconds at most."""
        for _ in range(500):
            if is_right(answer := await ask()):
                return answer
            await asyncio.sleep(0.02)
        raise AssertionError(f"the last answer was {answer!r}")


def reason_of(raised: "pytest.ExceptionInfo[grpc.aio.AioRpcError]") -> str:
    """The reason in the ErrorInfo of a refused call."""
    info = error_info(raised.value)
    assert info is not None, raised.value
    return info.reason
