"""A build with three turns at real services, to be forked; no worker runs and no model is called."""

import asyncio
import base64
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import orjson
from taor.checkpoint.v1 import checkpoint_pb2
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceStub
from taor.orchestrator.v1 import orchestrator_pb2 as pb
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from taor_budget.app import open_app as budget_app
from taor_budget.config import BudgetConfig
from taor_chassis.client import open_channel
from taor_chassis.config import load
from taor_chassis.server import Registration, running_server
from taor_checkpoint.app import app as checkpoint_app
from taor_checkpoint.config import CheckpointConfig
from taor_orchestrator import context
from taor_orchestrator.app import app as orchestrator_app
from taor_orchestrator.config import OrchestratorConfig
from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness
from tests.support.postgres import MigratedDatabase
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceAsyncStub  # stand in the stubs only
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub

TOKEN = "a-token-for-tests"
MODEL = "claude-sonnet-5-5"
START_SECONDS = 120.0
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Neighbours:
    """The services that a fork needs, and how to start an orchestrator beside them."""

    checkpoint: "CheckpointServiceAsyncStub"
    sandbox: Harness
    pool: asyncpg.Pool
    environ: dict[str, str]

    @asynccontextmanager
    async def orchestrator(self) -> AsyncIterator["OrchestratorServiceAsyncStub"]:
        """An orchestrator in this process, without slots."""
        stopping = asyncio.Event()
        config = load(OrchestratorConfig, self.environ)
        async with (
            orchestrator_app(config, stopping) as services,
            served(services, stopping) as address,
            open_channel(address, token=TOKEN) as channel,
        ):
            yield OrchestratorServiceStub(channel)

    async def forks_of(self, build_id: str) -> list[asyncpg.Record]:
        """The builds that were forked from one."""
        query = "SELECT build_id::text, state, projected_sequence FROM builds WHERE origin_build_id = $1"
        return list(await self.pool.fetch(query, uuid.UUID(build_id)))

    async def sessions(self) -> Sequence[checkpoint_pb2.Session]:
        """The logs that there are."""
        return (await self.checkpoint.ListSessions(checkpoint_pb2.ListSessionsRequest())).sessions


@asynccontextmanager
async def running_neighbours(database: MigratedDatabase, folder: Path) -> AsyncIterator[Neighbours]:
    """Budget, checkpoint and sandbox, each on its own database."""
    async with AsyncExitStack() as parts:
        budget = await parts.enter_async_context(_budget(database("taor_budget")))
        master_key = base64.b64encode(bytes(32)).decode()
        config = load(
            CheckpointConfig,
            {
                "TAOR_CHECKPOINT_LISTEN": "127.0.0.1:0",
                "TAOR_CHECKPOINT_DSN": database("taor_checkpoint"),
                "TAOR_TOKEN": TOKEN,
                "TAOR_CHECKPOINT_MASTER_KEY": master_key,
            },
        )
        stopping = asyncio.Event()
        services = await parts.enter_async_context(checkpoint_app(config, stopping))
        checkpoint = await parts.enter_async_context(served(services, stopping))
        sandbox = await parts.enter_async_context(_sandbox(database("taor_sandbox"), folder))
        dsn = database("taor_orchestrator")
        pool = await parts.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=2))
        channel = await parts.enter_async_context(open_channel(checkpoint, token=TOKEN))
        environ = {
            "TAOR_ORCHESTRATOR_LISTEN": "127.0.0.1:0",
            "TAOR_ORCHESTRATOR_DSN": dsn,
            "TAOR_ORCHESTRATOR_SLOTS": "0",
            "TAOR_TOKEN": TOKEN,
            "TAOR_BUDGET_TARGET": budget,
            "TAOR_CHECKPOINT_TARGET": checkpoint,
            "TAOR_SANDBOX_TARGET": sandbox.address,
            "ANTHROPIC_API_KEY": "unused",
        }
        yield Neighbours(CheckpointServiceStub(channel), sandbox, pool, environ)


async def three_turns(neighbours: Neighbours, orchestrator: "OrchestratorServiceAsyncStub") -> str:
    """A build whose first turn writes and documents, the second writes, and the third only reads; it has not ended."""
    request = pb.StartBuildRequest(
        request_id="origin", user_id="ada", project_id="project", tier="partner", brief="Write.", model=MODEL
    )
    build_id = str((await orchestrator.StartBuild(request)).build.build_id)
    harness = neighbours.sandbox
    harness.build_id = build_id
    await harness.attach()
    await harness.write(3, "file", "one\n")
    await harness.snapshot()
    await harness.write(5, "file", "two\n")
    await _log(neighbours, build_id)
    return build_id


async def _log(neighbours: Neighbours, build_id: str) -> None:
    document = {"section": "overview", "content": "It writes."}
    turns = [
        [("write_file", {"path": "file", "content": "one\n"}), ("document", document)],
        [("write_file", {"path": "file", "content": "two\n"})],
        [("read_file", {"path": "file"})],
    ]
    entries = [
        checkpoint_pb2.LogEntry(kind=checkpoint_pb2.LogEntry.HEAD, body=context.head_body(MODEL)),
        checkpoint_pb2.LogEntry(kind=checkpoint_pb2.LogEntry.USER, body=context.note_body("Write.")),
    ]
    for number, uses in enumerate(turns):
        entries += _turn(f"{build_id}/1/{number}", uses)
    claim = checkpoint_pb2.AttachBuildRequest(build_id=build_id, epoch=1, owner="owner", project_id="project")
    assert [chunk.complete async for chunk in neighbours.checkpoint.AttachBuild(claim)] == [True]
    append = checkpoint_pb2.AppendEntriesRequest(build_id=build_id, epoch=1, head=0, entries=entries)
    assert (await neighbours.checkpoint.AppendEntries(append)).head == 8


def _turn(rid: str, uses: Sequence[tuple[str, dict[str, str]]]) -> Iterator[checkpoint_pb2.LogEntry]:
    blocks = [{"type": "tool_use", "id": f"u{n}", "name": name, "input": it} for n, (name, it) in enumerate(uses)]
    results = [{"type": "tool_result", "tool_use_id": f"u{n}", "content": "Done."} for n in range(len(uses))]
    call = checkpoint_pb2.ModelCall(
        rid=rid, request_sha256=bytes(32), model=MODEL, max_output_tokens=100, stop_reason="tool_use", price_id="p"
    )
    call.start_time.FromJsonString("2026-07-01T12:00:00Z")
    answer = orjson.dumps({"role": "assistant", "content": blocks})
    yield checkpoint_pb2.LogEntry(kind=checkpoint_pb2.LogEntry.ASSISTANT, body=answer, call=call)
    message = orjson.dumps({"role": "user", "content": results})
    yield checkpoint_pb2.LogEntry(kind=checkpoint_pb2.LogEntry.USER, body=message)


@contextmanager
def killable_orchestrator(environ: dict[str, str], orders: Path) -> Iterator[str]:
    """An orchestrator in a process of its own, which kills itself at the boundary that the folder names."""
    socket = orders / uuid.uuid4().hex[:8]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.crash.killable", str(orders), "orchestrator", "serve"],
        env={**os.environ, **environ, "TAOR_ORCHESTRATOR_LISTEN": f"unix:{socket}", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # Dialled before it listens, a channel waits longer from try to try.
        wait_until(socket.exists, "the socket of the orchestrator", timeout_seconds=START_SECONDS)
        yield f"unix:{socket}"
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def served(services: Sequence[Registration], stopping: asyncio.Event) -> AsyncIterator[str]:
    """Services on a socket of this process."""
    async with running_server(services=services, token=TOKEN, stopping=stopping, drain_seconds=1) as address:
        yield address


@asynccontextmanager
async def _budget(dsn: str) -> AsyncIterator[str]:
    environ = {
        "TAOR_BUDGET_LISTEN": "127.0.0.1:0",
        "TAOR_BUDGET_DSN": dsn,
        "TAOR_TOKEN": TOKEN,
        "TAOR_BUDGET_CREATE_ACCOUNTS": "true",
    }
    stopping = asyncio.Event()
    async with budget_app(load(BudgetConfig, environ), stopping) as services, served(services, stopping) as address:
        yield address


@asynccontextmanager
async def _sandbox(dsn: str, folder: Path) -> AsyncIterator[Harness]:
    config = SandboxConfig(
        listen="127.0.0.1:0", dsn=dsn, token=TOKEN, data=folder / "sandboxes", blobs=folder / "blobs"
    )
    async with running_backend(config) as backend:
        harness = Harness(config, backend)
        await harness.start()
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()
