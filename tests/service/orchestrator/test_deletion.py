"""The deletion of a project: who may, what is told afterwards, and that it comes to its end across restarts."""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc
import pytest
from taor.checkpoint.v1 import checkpoint_pb2
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceStub
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_chassis.client import open_channel
from taor_chassis.server import running_server
from taor_checkpoint.app import app as checkpoint_app
from taor_checkpoint.config import CheckpointConfig
from taor_sandbox.app import application as sandbox_app
from taor_sandbox.config import SandboxConfig
from tests.service.orchestrator.conftest import TOKEN, Orchestrator, order, running_orchestrator
from tests.service.orchestrator.test_api import refusal
from tests.support.postgres import MigratedDatabase

GONE = (grpc.StatusCode.NOT_FOUND, "BUILD_NOT_FOUND")
CONTENT = ("events", "inbox", "documents", "assignments", "forks")


@dataclass(frozen=True)
class Elsewhere:
    """The services that keep history and files, and where they answer."""

    checkpoint: str
    sandbox: str


@asynccontextmanager
async def running_elsewhere(migrated_database: MigratedDatabase, folder: Path) -> AsyncIterator[Elsewhere]:
    """Both services, from their production graphs."""
    key = base64.b64encode(bytes(32)).decode()
    checkpoint = CheckpointConfig("127.0.0.1:0", migrated_database("taor_checkpoint"), TOKEN, key)
    sandbox = SandboxConfig(
        listen="127.0.0.1:0",
        dsn=migrated_database("taor_sandbox"),
        token=TOKEN,
        data=folder / "sandboxes",
        blobs=folder / "blobs",
    )
    stopping = asyncio.Event()
    async with AsyncExitStack() as parts:
        addresses = []
        for opened in (checkpoint_app(checkpoint, stopping), sandbox_app(sandbox, stopping)):
            services = await parts.enter_async_context(opened)
            server = running_server(services=services, token=TOKEN, stopping=stopping, drain_seconds=1)
            addresses.append(await parts.enter_async_context(server))
        yield Elsewhere(*addresses)


def deletion(project_id: str = "hello", request_id: str = "d-1") -> pb.DeleteProjectRequest:
    return pb.DeleteProjectRequest(project_id=project_id, request_id=request_id)


async def ended(orchestrator: Orchestrator, **changes: object) -> str:
    """A build that has come to its end, with something said in every table."""
    build_id = (await orchestrator.stub.StartBuild(order(**changes))).build.build_id
    for statement in (
        "INSERT INTO inbox (inbox_id, build_id, tenant_id, kind, content) "
        "VALUES (gen_random_uuid(), $1, 'local', 'STEER', 'a secret')",
        "INSERT INTO documents (build_id, section, tenant_id, content, log_sequence) "
        "VALUES ($1, 'faq', 'local', 'a secret', 1)",
        "SELECT tell_state($1, 'QUEUED', 'CANCELLED', 'a secret')",
        "UPDATE builds SET state = 'CANCELLED', due_at = NULL, ended_at = taor_now(), outcome_message = 'a secret' "
        "WHERE build_id = $1",
    ):
        await orchestrator.pool.execute(statement, uuid.UUID(build_id))
    return build_id


async def test_a_project_with_a_build_at_work_is_not_deleted(orchestrator: Orchestrator) -> None:
    build_id = (await orchestrator.stub.StartBuild(order())).build.build_id
    with pytest.raises(grpc.aio.AioRpcError, match=build_id) as refused:
        await orchestrator.stub.DeleteProject(deletion())
    assert await refusal(orchestrator.stub.DeleteProject(deletion())) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROJECT_BUSY",
    )
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert (await orchestrator.stub.GetBuild(pb.GetBuildRequest(build_id=build_id))).build.state == pb.Build.QUEUED


async def test_what_was_never_there_is_not_deleted(orchestrator: Orchestrator) -> None:
    call = orchestrator.stub.DeleteProject(deletion("mistyped"))
    assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "PROJECT_NOT_FOUND")


async def test_a_deleted_project_is_told_as_such(orchestrator: Orchestrator) -> None:
    build_id = await ended(orchestrator)
    other = await ended(orchestrator, request_id="order-2", project_id="other")
    first = await orchestrator.stub.DeleteProject(deletion())
    again = await orchestrator.stub.DeleteProject(deletion())
    assert again.delete_time == first.delete_time
    with pytest.raises(grpc.aio.AioRpcError, match="was deleted with its project"):
        await orchestrator.stub.GetBuild(pb.GetBuildRequest(build_id=build_id))
    watch = orchestrator.stub.WatchBuild(pb.WatchBuildRequest(build_id=build_id))
    assert await refusal(anext(aiter(watch))) == GONE
    cancel = pb.CancelBuildRequest(build_id=build_id, request_id="c-1")
    assert await refusal(orchestrator.stub.CancelBuild(cancel)) == GONE
    assert await refusal(orchestrator.stub.StartBuild(order())) == GONE, "the request of the deleted build"
    later = orchestrator.stub.StartBuild(order(request_id="order-3"))
    assert await refusal(later) == (grpc.StatusCode.FAILED_PRECONDITION, "PROJECT_DELETED")
    listed = (await orchestrator.stub.ListBuilds(pb.ListBuildsRequest())).builds
    assert [build.build_id for build in listed] == [other]


async def test_a_request_id_stands_for_one_project(orchestrator: Orchestrator) -> None:
    await ended(orchestrator)
    await ended(orchestrator, request_id="order-2", project_id="other")
    await orchestrator.stub.DeleteProject(deletion())
    call = orchestrator.stub.DeleteProject(deletion("other"))
    assert await refusal(call) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")


async def test_a_build_that_is_started_beside_the_deletion_waits_for_it_and_is_refused(
    orchestrator: Orchestrator,
) -> None:
    await ended(orchestrator)
    async with orchestrator.pool.acquire() as gate, gate.transaction():
        await gate.execute("SELECT delete_project('local', 'hello', 'd-1')")
        start = asyncio.create_task(refusal(orchestrator.stub.StartBuild(order(request_id="order-2"))))
        await _until_blocked(orchestrator.pool, start)
    assert await start == (grpc.StatusCode.FAILED_PRECONDITION, "PROJECT_DELETED")


async def test_a_deletion_waits_for_the_build_that_is_being_started_and_is_refused(
    orchestrator: Orchestrator,
) -> None:
    build_id = await ended(orchestrator)
    async with orchestrator.pool.acquire() as gate, gate.transaction():
        assert await gate.fetchval("SELECT hold_project('local', 'hello')")
        await gate.execute(  # another build comes to be; this one stands in for it
            "UPDATE builds SET state = 'QUEUED', due_at = taor_now(), ended_at = NULL WHERE build_id = $1",
            uuid.UUID(build_id),
        )
        delete = asyncio.create_task(refusal(orchestrator.stub.DeleteProject(deletion())))
        await _until_blocked(orchestrator.pool, delete)
    assert await delete == (grpc.StatusCode.FAILED_PRECONDITION, "PROJECT_BUSY")


async def test_texts_go_only_with_their_project(orchestrator: Orchestrator) -> None:
    await ended(orchestrator)
    with pytest.raises(asyncpg.RestrictViolationError):
        await orchestrator.pool.execute("SELECT delete_content('local', 'hello', 100)")


async def test_texts_go_a_bounded_number_at_a_time(orchestrator: Orchestrator) -> None:
    build_id = await ended(orchestrator)
    for _ in range(4):
        await orchestrator.pool.execute("SELECT tell_state($1, 'QUEUED', 'CANCELLED', '')", uuid.UUID(build_id))
    await orchestrator.stub.DeleteProject(deletion())
    steps = []
    while not await orchestrator.pool.fetchval("SELECT delete_content('local', 'hello', 2)"):
        steps.append(await orchestrator.pool.fetchval("SELECT count(*) FROM events"))
    assert steps == [3, 1, 0]


async def test_a_deletion_goes_on_after_a_restart_until_nothing_is_left(
    migrated_database: MigratedDatabase, tmp_path: Path
) -> None:
    dsn, budget_dsn = migrated_database("taor_orchestrator"), migrated_database("taor_budget")
    async with running_orchestrator(dsn, budget_dsn) as first:
        build_id = await ended(first)
        kept = await ended(first, request_id="order-2", project_id="other")
        await first.stub.DeleteProject(deletion())  # the other services cannot be reached: nothing can go on yet
        assert await _rows(first.pool) == dict.fromkeys(CONTENT, 2) | {"events": 2, "forks": 0}
    async with running_elsewhere(migrated_database, tmp_path) as elsewhere:
        await _write_history(elsewhere.checkpoint, build_id)
        async with running_orchestrator(dsn, budget_dsn, elsewhere.checkpoint, elsewhere.sandbox) as second:
            async with asyncio.timeout(60):
                while True:
                    if (await second.stub.DeleteProject(deletion())).HasField("purge_time"):
                        break
                    await asyncio.sleep(0.05)
            assert await _rows(second.pool) == dict.fromkeys(CONTENT, 1) | {"forks": 0}
            assert await second.pool.fetchval("SELECT count(*) FROM builds WHERE outcome_message <> ''") == 1
            assert (await second.stub.GetBuild(pb.GetBuildRequest(build_id=kept))).build.build_id == kept
        async with open_channel(elsewhere.checkpoint, token=TOKEN) as channel:
            listed = await CheckpointServiceStub(channel).ListSessions(checkpoint_pb2.ListSessionsRequest())
            assert [session.HasField("purge_time") for session in listed.sessions] == [True]


async def _write_history(target: str, build_id: str) -> None:
    async with open_channel(target, token=TOKEN) as channel:
        stub = CheckpointServiceStub(channel)
        attach = checkpoint_pb2.AttachBuildRequest(build_id=build_id, epoch=1, owner="boot", project_id="hello")
        _ = [chunk async for chunk in stub.AttachBuild(attach)]
        entry = checkpoint_pb2.LogEntry(kind=checkpoint_pb2.LogEntry.HEAD, body=b"{}")
        await stub.AppendEntries(checkpoint_pb2.AppendEntriesRequest(build_id=build_id, epoch=1, entries=[entry]))


async def _rows(pool: asyncpg.Pool) -> dict[str, int]:
    """How many builds have something in each table of texts."""
    return {table: await pool.fetchval(f"SELECT count(DISTINCT build_id) FROM {table}") for table in CONTENT}


async def _until_blocked(pool: asyncpg.Pool, task: "asyncio.Task[object]") -> None:
    """Wait until a statement waits for a lock; the task must not end without."""
    async with asyncio.timeout(60):
        while True:
            assert not task.done(), "it did not wait"
            if await pool.fetchval(
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock')"
            ):
                return
            await asyncio.sleep(0.01)
