"""Starts and stops the service within a test, and speaks to it for one build."""

import asyncio
import uuid
from contextlib import AsyncExitStack

from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceStub
from taor_chassis.client import open_channel
from taor_chassis.server import running_server
from taor_sandbox.app import application
from taor_sandbox.backends.local.backend import open_backend
from taor_sandbox.config import SandboxConfig


class Harness:
    """One service, one build."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.build_id = str(uuid.uuid4())
        self.epoch = 1
        self.owner = "boot-1"
        self.attaches = 0
        self.generation = 0
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start the service and dial it."""
        stopping = asyncio.Event()
        services = await self._stack.enter_async_context(application(self.config, stopping))
        address = await self._stack.enter_async_context(
            running_server(services=services, token=self.config.token, stopping=stopping, drain_seconds=1)
        )
        channel = open_channel(address, token=self.config.token, default_timeout_seconds=30)
        self.stub = SandboxServiceStub(await self._stack.enter_async_context(channel))

    async def stop(self) -> None:
        """Drain and stop; sandboxes go on."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def restart(self) -> None:
        """Stop and start again, as a new release would."""
        await self.stop()
        await self.start()

    async def destroy_sandboxes(self) -> None:
        """Leave nothing of this test running."""
        backend = await open_backend(self.config.data)
        for listing in await backend.list():
            await backend.destroy(listing.provider_id)
        await backend.close()

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
            epoch=self.epoch,
            generation=self.generation,
            op_id=f"{self.build_id}/{self.epoch}/{sequence}/{block}",
            log_sequence=sequence,
            **tool,  # type: ignore[arg-type] # one of the tools by its field name
        )

    async def run(self, request: pb.DispatchRequest) -> pb.ToolResult:
        """Dispatch and return the result."""
        async for response in self.stub.Dispatch(request):
            if response.HasField("result"):
                return response.result
        raise AssertionError("the stream ended without a result")

    async def bash(self, sequence: int, command: str, block: int = 0, **more: object) -> pb.ToolResult:
        """Run a command at a position of the log."""
        return await self.run(self.request(sequence, block, bash=pb.Bash(command=command, **more)))  # type: ignore[arg-type] # fields of Bash
