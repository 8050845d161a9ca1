"""A fork is made once, of what it was asked for, whoever is killed on the way; and it is told what it may not have."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub
from taor.sandbox.v1 import sandbox_pb2

from taor_chassis.boundary import ErrorInfo, error_info
from taor_chassis.client import open_channel
from tests.crash.boundaries import ARMED, FIRED
from tests.service.orchestrator.forking import (
    TOKEN,
    Neighbours,
    killable_orchestrator,
    running_neighbours,
    three_turns,
)
from tests.support.postgres import MigratedDatabase

if TYPE_CHECKING:
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub

# Where the process is killed in turn, and whether the fork has its files and its log then.
KILLS = {
    "rpc PinSnapshot send": (False, False),
    "rpc PinSnapshot receive": (True, False),
    "rpc ForkSession receive": (True, True),
}
CALL_SECONDS = 120.0


@pytest.fixture
async def neighbours(migrated_database: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Neighbours]:
    """The other services."""
    async with running_neighbours(migrated_database, tmp_path) as running:
        yield running


def order(origin: str, **changes: object) -> pb.ForkBuildRequest:
    """A ForkBuild at the first turn, with changes."""
    fields: dict[str, object] = {"request_id": "fork-1", "build_id": origin, "at_turn": 1}
    return pb.ForkBuildRequest(**(fields | changes))  # type: ignore[arg-type] # the fields of the message, by name


async def test_a_fork_is_made_once_wherever_its_orchestrator_is_killed(neighbours: Neighbours, tmp_path: Path) -> None:
    async with neighbours.orchestrator() as orchestrator:
        origin = await three_turns(neighbours, orchestrator)
    made = set()
    for label, expected in KILLS.items():
        _arm(tmp_path, label)
        with killable_orchestrator(neighbours.environ, tmp_path) as address:
            await _fork_until_killed(address, tmp_path, origin)
        (row,) = await neighbours.forks_of(origin)
        made.add(row["build_id"])
        assert row["state"] == "FORKING"
        assert await _has(neighbours, row["build_id"]) == expected, label
    (build_id,) = made
    # Whoever has asked for it does not come back: another orchestrator finds it, and ends it.
    await neighbours.pool.execute("UPDATE builds SET created_at = taor_now() - interval '31 s' WHERE state = 'FORKING'")
    async with neighbours.orchestrator() as orchestrator:
        stream = aiter(orchestrator.WatchBuild(pb.WatchBuildRequest(build_id=build_id), timeout=CALL_SECONDS))
        assert [(await anext(stream)).event.WhichOneof("what") for _ in range(2)] == ["forked", "state_changed"]
        assert (await orchestrator.ForkBuild(order(origin))).build.build_id == build_id
        build = (await orchestrator.GetBuild(pb.GetBuildRequest(build_id=build_id))).build
    assert (build.state, build.origin_build_id, build.origin_turn) == (pb.Build.QUEUED, origin, 1)
    assert [(each.section, each.content) for each in build.documentation] == [("overview", "It writes.")]
    assert await _told(neighbours, build_id) == ["forked", "state_changed"]
    (row,) = await neighbours.forks_of(origin)
    assert row["projected_sequence"] == 4


async def test_a_fork_is_of_a_kept_turn_and_refused_otherwise(neighbours: Neighbours) -> None:
    async with neighbours.orchestrator() as orchestrator:
        origin = await three_turns(neighbours, orchestrator)
        turns = (await orchestrator.ListTurns(pb.ListTurnsRequest(build_id=origin))).turns
        assert [(each.turn, each.kept, each.tool_calls, each.summary) for each in turns] == [
            (1, True, 2, "write_file file"),
            (2, False, 1, "write_file file"),
            (3, False, 1, "read_file file"),
        ]
        refused = await _refused(orchestrator, order(origin, at_turn=2))
        assert (refused.reason, refused.metadata["turns"]) == ("TURN_NOT_KEPT", "1")
        assert (await _refused(orchestrator, order(origin, at_turn=9))).reason == "TURN_NOT_KEPT"
        assert (await _refused(orchestrator, order(origin, model="no-such"))).reason == "MODEL_UNKNOWN"
        assert (await _refused(orchestrator, order(str(uuid.uuid4())))).reason == "BUILD_NOT_FOUND"
        assert await neighbours.forks_of(origin) == []
        redone = (await orchestrator.ForkBuild(order(origin, at_turn=2, request_id="redo", redo=True))).build
        assert (redone.state, redone.origin_turn) == (pb.Build.QUEUED, 2)
        await neighbours.sandbox.snapshot()
        turns = (await orchestrator.ListTurns(pb.ListTurnsRequest(build_id=origin))).turns
        assert [each.kept for each in turns] == [True, True, True]

        first = (await orchestrator.ForkBuild(order(origin, at_turn=3))).build
        assert (await orchestrator.ForkBuild(order(origin, at_turn=3))).build == first
        assert (await _refused(orchestrator, order(origin))).reason == "REQUEST_ID_CONFLICT"
        again = order(first.build_id, request_id="fork-2")
        grandchild = (await orchestrator.ForkBuild(again)).build
        assert grandchild.origin_build_id == origin, "a turn is forked from the build that took it"
        second = (await orchestrator.ForkBuild(order(first.build_id, request_id="fork-3", at_turn=3))).build
        assert second.origin_build_id == first.build_id
        listed = (await orchestrator.ListTurns(pb.ListTurnsRequest(build_id=second.build_id))).turns
        assert {(each.origin_build_id, each.kept) for each in listed} == {(origin, True)}
        differ = pb.DiffTurnsRequest(build_id=grandchild.build_id, from_turn=1, to_build_id=second.build_id, to_turn=3)
        (change,) = (await orchestrator.DiffTurns(differ)).changes
        assert (change.path, change.text_diff.splitlines()[-2:]) == ("file", ["-one", "+two"])


async def test_a_fork_that_is_paused_or_cancelled_on_the_way_is_so_when_it_is_claimed(neighbours: Neighbours) -> None:
    async with neighbours.orchestrator() as orchestrator:
        origin = await three_turns(neighbours, orchestrator)
        build_id = (await orchestrator.ForkBuild(order(origin))).build.build_id
        await neighbours.pool.execute(
            "UPDATE builds SET state = 'FORKING', due_at = NULL WHERE build_id = $1", uuid.UUID(build_id)
        )
        paused = await orchestrator.PauseBuild(pb.PauseBuildRequest(build_id=build_id, request_id="pause"))
        assert paused.build.state == pb.Build.FORKING
        cancelled = await orchestrator.CancelBuild(pb.CancelBuildRequest(build_id=build_id, request_id="cancel"))
        assert cancelled.build.state == pb.Build.FORKING
        await neighbours.pool.execute("DELETE FROM documents")
        again = (await orchestrator.ForkBuild(order(origin))).build
        assert again.state == pb.Build.QUEUED
        flags = "SELECT pause_requested AND cancel_requested FROM builds WHERE build_id = $1"
        assert await neighbours.pool.fetchval(flags, uuid.UUID(build_id))


async def test_a_fork_of_what_is_gone_fails_and_says_so(neighbours: Neighbours) -> None:
    async with neighbours.orchestrator() as orchestrator:
        origin = await three_turns(neighbours, orchestrator)
        build_id = (await orchestrator.ForkBuild(order(origin))).build.build_id
        nowhere = "UPDATE forks SET answer_sequence = 6, head = 6 WHERE build_id = $1"
        await neighbours.pool.execute(nowhere, uuid.UUID(build_id))
        await neighbours.pool.execute(
            "UPDATE builds SET state = 'FORKING', due_at = NULL WHERE build_id = $1", uuid.UUID(build_id)
        )
        assert (await _refused(orchestrator, order(origin))).reason == "FORK_FAILED"
        build = (await orchestrator.ForkBuild(order(origin))).build
        assert build.state == pb.Build.FAILED
        assert build.outcome_message.startswith("It could not be forked: ")
        assert (await _told(neighbours, build_id))[-2:] == ["state_changed", "ended"]


def _arm(orders: Path, label: str) -> None:
    wanted = {"service": "orchestrator", "label": label, "occurrence": 1, "nonce": str(uuid.uuid4())}
    (orders / ARMED).write_text(json.dumps(wanted))


async def _fork_until_killed(address: str, orders: Path, origin: str) -> None:
    """Ask for the fork until its orchestrator has killed itself over it."""
    async with open_channel(address, token=TOKEN) as channel:
        asked = OrchestratorServiceStub(channel).ForkBuild(order(origin), timeout=CALL_SECONDS)
        async with asyncio.timeout(CALL_SECONDS):
            while not (orders / FIRED).exists():
                assert not asked.done(), "it was not killed"
                await asyncio.sleep(0.02)
        asked.cancel()
    (orders / FIRED).unlink()


async def _refused(orchestrator: "OrchestratorServiceAsyncStub", request: pb.ForkBuildRequest) -> ErrorInfo:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await orchestrator.ForkBuild(request)
    info = error_info(refused.value)
    assert info is not None
    return info


async def _has(neighbours: Neighbours, build_id: str) -> tuple[bool, bool]:
    """Whether the fork has its files and its log."""
    listed = await neighbours.sandbox.stub.ListSnapshots(sandbox_pb2.ListSnapshotsRequest(build_id=build_id))
    assert len(listed.snapshots) <= 1
    heads = [each.head for each in await neighbours.sessions() if each.build_id == build_id]
    assert heads in ([], [4])
    return bool(listed.snapshots), bool(heads)


async def _told(neighbours: Neighbours, build_id: str) -> list[str]:
    rows = await neighbours.pool.fetch(
        "SELECT payload FROM events WHERE build_id = $1 ORDER BY sequence", uuid.UUID(build_id)
    )
    return [str(json.loads(row["payload"])["kind"]) for row in rows]
