"""`exec`: what it costs to run a command in a build's sandbox, journaled and over the wire, and to make a sandbox."""

import asyncio
import itertools
from typing import TYPE_CHECKING
from uuid import uuid4

from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_cli.clients import connect
from tests.bench.figures import Figure, Reference, at_most
from tests.bench.home import Home
from tests.bench.progress import tell
from tests.bench.timing import milliseconds_of, p50

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceAsyncStub

COMMANDS, QUICK_COMMANDS = 200, 20
SANDBOXES, QUICK_SANDBOXES = 30, 5
MOST_TIMES_BARE, MOST_CREATE_MILLISECONDS = 4.0, 100.0
COMMAND = "true"


class Build:
    """A build's use of a sandbox, as an orchestrator makes it."""

    def __init__(self, stub: "SandboxServiceAsyncStub") -> None:
        self._stub = stub
        self._build_id = str(uuid4())
        self._generation = 0
        self._sequences = itertools.count(3)

    async def attach(self) -> None:
        """Ask for a sandbox; it is made beside what comes next."""
        request = pb.AttachBuildRequest(
            build_id=self._build_id, epoch=1, owner="bench", attach_number=1, project_id=self._build_id, tail_sequence=2
        )
        self._generation = (await self._stub.AttachBuild(request)).generation

    async def look(self) -> None:
        """A read-only call, answered as soon as the sandbox is there."""
        await self._dispatch(pb.DispatchRequest(glob=pb.Glob(pattern="*")))

    async def run(self, _: int) -> None:
        """A command that does nothing."""
        result = await self._dispatch(pb.DispatchRequest(bash=pb.Bash(command=COMMAND)))
        assert result.exit_status == 0

    async def release(self) -> None:
        """Give the sandbox up."""
        request = pb.ReleaseSandboxRequest(
            build_id=self._build_id, epoch=1, generation=self._generation, fate=pb.ReleaseSandboxRequest.DESTROY
        )
        await self._stub.ReleaseSandbox(request)

    async def _dispatch(self, request: pb.DispatchRequest) -> pb.ToolResult:
        sequence = next(self._sequences)
        request.build_id, request.epoch, request.generation = self._build_id, 1, self._generation
        request.op_id, request.log_sequence = f"{self._build_id}/1/{sequence}/0", sequence
        async for response in self._stub.Dispatch(request):
            if response.HasField("result"):
                return response.result
        raise AssertionError("the stream ended without a result")


async def measure(home: Home) -> list[Figure]:
    """Commands first, then whole sandboxes."""
    commands, sandboxes = (QUICK_COMMANDS, QUICK_SANDBOXES) if home.quick else (COMMANDS, SANDBOXES)
    async with connect(home.addresses) as clients:
        return [*await _commands(clients.sandbox, commands), *await _sandboxes(clients.sandbox, sandboxes)]


async def _commands(stub: "SandboxServiceAsyncStub", commands: int) -> list[Figure]:
    tell(f"exec: `{COMMAND}` {commands} times, in a sandbox and as a bare subprocess")
    build = Build(stub)
    await build.attach()
    await build.run(0)
    bare, dispatched = [], []
    for number in range(commands):  # in turns, so that a busy moment meets both
        bare += await milliseconds_of(_bare, [number])
        dispatched += await milliseconds_of(build.run, [number])
    await build.release()
    reference = Reference("bare subprocess", p50(bare))
    name = f"`{COMMAND}` through Dispatch, p50"
    return [Figure("exec", name, p50(dispatched), "ms", reference, at_most(MOST_TIMES_BARE))]


async def _bare(_: int) -> None:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", COMMAND, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await process.communicate()


async def _sandboxes(stub: "SandboxServiceAsyncStub", count: int) -> list[Figure]:
    tell(f"exec: {count} new sandboxes")

    async def create(_: int) -> None:
        build = Build(stub)
        builds.append(build)
        await build.attach()
        await build.look()

    builds: list[Build] = []
    taken = await milliseconds_of(create, range(count))
    for build in builds:
        await build.release()
    target = at_most(MOST_CREATE_MILLISECONDS)
    return [Figure("exec", "a new sandbox has answered, p50", p50(taken), "ms", None, target)]
