"""From the log to events, documents and the build's row: once, without a gap, and only by the epoch that holds it."""

import asyncio
import datetime

import asyncpg
import grpc
import orjson
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_chassis.clock import SystemIds
from taor_orchestrator import context, localtools
from taor_orchestrator.build import BuildState, Claim, Outcome
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.model.port import Usage
from taor_orchestrator.ports import LeaseLost
from taor_orchestrator.store.leases import LeaseStore
from taor_orchestrator.store.projection import BuildRow
from taor_orchestrator.transcript import ToolAnswer, tool_uses
from tests.service.orchestrator.conftest import Orchestrator, order

USAGE = Usage(100, 7, 40, 0, 0, "standard")


async def claimed(orchestrator: Orchestrator, *, cancel: bool = False) -> Claim:
    """Start a build and claim it."""
    build = (await orchestrator.stub.StartBuild(order())).build
    if cancel:
        await orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=build.build_id, request_id="c"))
    [one] = await LeaseStore(orchestrator.pool, SystemIds().uuid7(), 8.0).claim(10)
    assert one.signals.cancel_requested == cancel
    return one.claim


def full_log(claim: Claim, *, inbox_ids: tuple[str, ...] = ()) -> History:
    """A log with one turn of every kind of tool, and its end."""
    blocks: list[dict[str, object]] = [
        {"type": "text", "text": "Working."},
        {"type": "tool_use", "id": "t", "name": "narrate", "input": {"message": "I begin."}},
        {"type": "tool_use", "id": "t", "name": "document", "input": {"section": "faq", "content": "None \0 yet."}},
        {"type": "tool_use", "id": "t", "name": "bash", "input": {"command": "make\n  all"}},
    ]
    started = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    call = ModelCall(f"{claim.build_id}/1/0", b"", "model", 10, USAGE, "tool_use", "price", started)
    answer = Entry(3, 1, 1, EntryKind.ASSISTANT, orjson.dumps({"role": "assistant", "content": blocks}), (), call)
    answers = [ToolAnswer("Shown."), ToolAnswer("Saved."), ToolAnswer("x" * 5000, failed=True)]
    outcome = Outcome(BuildState.SUCCEEDED, "It runs.", "make", "ok", 8000)
    return History(
        (
            Entry(1, 1, 1, EntryKind.HEAD, b"{}"),
            Entry(2, 1, 1, EntryKind.USER, context.note_body("Say hello.")),
            answer,
            Entry(4, 1, 1, EntryKind.USER, context.results_body(tool_uses(answer), answers), inbox_ids),
            Entry(5, 1, 1, EntryKind.OUTCOME, localtools.outcome_body(outcome)),
        )
    )


def prefix(history: History, head: int) -> History:
    """The log as it stood when `head` was its last entry."""
    return History(history.entries[:head])


async def told(orchestrator: Orchestrator, build_id: str, after: int = 0) -> list[pb.Event]:
    """Every event that a watcher gets until the stream ends."""
    stream = orchestrator.stub.WatchBuild(pb.WatchBuildRequest(build_id=build_id, after_sequence=after), timeout=20)
    return [response.event async for response in stream]


async def test_the_events_tell_the_log(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    row, log = BuildRow(orchestrator.pool, lambda _: None), full_log(claim)
    for head in range(1, 6):
        await row.project(claim, prefix(log, head), 1234)
    events = await told(orchestrator, claim.build_id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    kinds = [event.WhichOneof("what") for event in events]
    assert kinds == [
        "state_changed",
        "turn_taken",
        *["tool_called"] * 3,
        *["tool_answered", "narrated", "tool_answered", "documented", "tool_answered"],
        "state_changed",
        "ended",
    ]
    assert events[1].turn_taken == pb.Event.TurnTaken(
        turn=1, text="Working.", prompt_tokens=140, cache_read_tokens=40, output_tokens=7
    )
    assert events[4].tool_called.summary == "make all"
    assert events[9].tool_answered.op_id == f"{claim.build_id}/1/0/3"
    assert events[9].tool_answered.failed
    assert len(events[9].tool_answered.text) <= 2000
    assert events[-1].ended.preview_port == 8000


async def test_the_row_says_how_it_ended(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    await BuildRow(orchestrator.pool, lambda _: None).project(claim, full_log(claim), 1234)
    build = (await orchestrator.stub.GetBuild(pb.GetBuildRequest(build_id=claim.build_id))).build
    assert build.state == pb.Build.SUCCEEDED
    assert (build.turns, build.tool_calls, build.spent_microdollars, build.preview_port) == (1, 3, 1234, 8000)
    assert build.outcome_message == "It runs."
    assert build.HasField("end_time")
    assert [(each.section, each.content) for each in build.documentation] == [("faq", "None \ufffd yet.")]


async def test_projecting_again_changes_nothing(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    log = full_log(claim)
    await BuildRow(orchestrator.pool, lambda _: None).project(claim, prefix(log, 4), 5)
    again = BuildRow(orchestrator.pool, lambda _: None)
    await again.project(claim, prefix(log, 3), 5)
    await again.project(claim, prefix(log, 4), 5)
    count = await orchestrator.pool.fetchval("SELECT count(*) FROM events WHERE log_sequence > 0")
    assert count == 9


async def test_several_projectors_at_once_leave_no_gap_and_no_double(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    log = full_log(claim)
    heads = [1, 3, 2, 4, 3, 4]
    rows = [BuildRow(orchestrator.pool, lambda _: None) for _ in heads]
    await asyncio.gather(*(row.project(claim, prefix(log, head), 5) for row, head in zip(rows, heads, strict=True)))
    await rows[0].project(claim, log, 5)
    events = await told(orchestrator, claim.build_id)
    assert [event.sequence for event in events] == list(range(1, 13))


async def test_an_older_epoch_projects_nothing(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    await orchestrator.pool.execute("UPDATE builds SET epoch = epoch + 1")
    with pytest.raises(LeaseLost):
        await BuildRow(orchestrator.pool, lambda _: None).project(claim, full_log(claim), 5)
    assert await orchestrator.pool.fetchval("SELECT count(*) FROM events WHERE log_sequence > 0") == 0


async def test_what_the_log_carries_of_the_inbox_is_marked(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator, cancel=True)
    row = BuildRow(orchestrator.pool, lambda _: None)
    item = await row.cancel_item(claim)
    assert item is not None
    await row.project(claim, full_log(claim, inbox_ids=(item,)), 5)
    inspected = await orchestrator.stub.InspectBuild(pb.InspectBuildRequest(build_id=claim.build_id))
    assert [each.log_sequence for each in inspected.inbox] == [4]


async def test_a_watch_goes_on_where_it_was_left(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    row, log = BuildRow(orchestrator.pool, lambda _: None), full_log(claim)
    await row.project(claim, prefix(log, 3), 5)
    stream = orchestrator.stub.WatchBuild(pb.WatchBuildRequest(build_id=claim.build_id), timeout=20)
    first = [await _next(stream) for _ in range(3)]
    stream.cancel()
    await row.project(claim, log, 5)
    rest = await told(orchestrator, claim.build_id, after=first[-1])
    assert [*first, *(event.sequence for event in rest)] == list(range(1, 13))
    assert await told(orchestrator, claim.build_id, after=12) == []


async def test_a_watcher_sees_what_happens_while_it_watches(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    watching = asyncio.create_task(told(orchestrator, claim.build_id))
    row, log = BuildRow(orchestrator.pool, lambda _: None), full_log(claim)
    for head in range(1, 6):
        await row.project(claim, prefix(log, head), 5)
    assert len(await watching) == 12


async def test_hot_statements_hit_their_index(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    page = "SELECT * FROM events WHERE build_id = $1::text::uuid AND sequence > 5 ORDER BY sequence LIMIT 200"
    hot = {page: "events_pkey", "SELECT * FROM builds WHERE build_id = $1::text::uuid": "builds_pkey"}
    async with orchestrator.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        for statement, index in hot.items():
            plan = await connection.fetch(f"EXPLAIN {statement}", claim.build_id)
            assert index in "\n".join(row[0] for row in plan)


async def test_a_turn_rewrites_the_row_within_its_page(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    row, log = BuildRow(orchestrator.pool, lambda _: None), full_log(claim)
    before = await _updates(orchestrator.pool)
    for head in range(1, 5):
        await row.project(claim, prefix(log, head), head)
    after = await _updates(orchestrator.pool)
    assert after[1] - before[1] == after[0] - before[0] >= 4


async def _updates(pool: asyncpg.Pool) -> tuple[int, int]:
    """How many rows of `builds` this database has updated, and how many of them within their page."""
    await pool.execute("SELECT pg_stat_force_next_flush()")
    row = await pool.fetchrow("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'builds'")
    assert row is not None
    return row[0], row[1]


async def _next(stream: "grpc.aio.UnaryStreamCall[pb.WatchBuildRequest, pb.WatchBuildResponse]") -> int:
    """The number of the next event of a watch."""
    response = await stream.read()
    assert isinstance(response, pb.WatchBuildResponse)
    return response.event.sequence
