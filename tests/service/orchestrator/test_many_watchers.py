"""Many watch one build, on two replicas: each gets every event once and in order, and what is read is read for all."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import orjson
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_orchestrator import context, localtools
from taor_orchestrator.build import BuildState, Claim, Outcome
from taor_orchestrator.feed import POLL_SECONDS, EventHub, Feeds
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.livetext import LiveText
from taor_orchestrator.store.events import EventStore, StoredEvent
from taor_orchestrator.store.projection import BuildRow
from taor_orchestrator.transcript import ToolAnswer, tool_uses
from taor_orchestrator.translate import is_terminal, wire_event
from taor_orchestrator.watch import Watch
from tests.service.orchestrator.conftest import Orchestrator, running_orchestrator
from tests.service.orchestrator.test_projection import USAGE, claimed, prefix
from tests.support.postgres import MigratedDatabase

WATCHERS = 200
TURNS = 6
WATCH_SECONDS = 60.0
THOUSAND = 1000


class CountedEvents(EventStore):
    """Counts the pages that are read from the table."""

    reads = 0

    async def page(self, tenant_id: str, build_id: str, after_sequence: int) -> Sequence[StoredEvent]:
        """Read, and count."""
        self.reads += 1
        return await super().page(tenant_id, build_id, after_sequence)


@pytest.fixture
async def replicas(migrated_database: MigratedDatabase) -> AsyncIterator[Sequence[Orchestrator]]:
    """Two orchestrators on one database."""
    dsn, budget_dsn = migrated_database("taor_orchestrator"), migrated_database("taor_budget")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running_orchestrator(dsn, budget_dsn)) for _ in range(2)]


async def test_each_of_many_watchers_gets_every_event_once_and_in_order(replicas: Sequence[Orchestrator]) -> None:
    claim = await claimed(replicas[0])
    history, row = _history(claim), BuildRow(replicas[0].pool, lambda _: None)
    everybody_else_is_through = asyncio.Event()
    async with asyncio.TaskGroup() as watching:
        slow = [watching.create_task(_watch(each, claim, 0, everybody_else_is_through)) for each in replicas]
        early = [watching.create_task(_watch(replicas[n % 2], claim, 0)) for n in range(WATCHERS // 2)]
        for head in range(1, TURNS):
            await row.project(claim, prefix(history, head), 0)
        late = [watching.create_task(_watch(replicas[n % 2], claim, n % 3)) for n in range(WATCHERS // 2)]
        for head in range(TURNS, history.head + 1):
            await row.project(claim, prefix(history, head), 0)
        told_early, told_late = [await each for each in early], [await each for each in late]
        everybody_else_is_through.set()
    last = await replicas[0].pool.fetchval("SELECT event_sequence FROM builds")
    assert last > 5 * TURNS
    assert told_early == [list(range(1, last + 1))] * len(early)
    assert told_late == [list(range(1 + n % 3, last + 1)) for n in range(len(late))]
    assert [each.result() for each in slow] == [list(range(1, last + 1))] * len(slow)


async def test_a_thousand_watchers_share_what_is_read(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    history, hub, stopping = _history(claim), EventHub(), asyncio.Event()
    events, row = CountedEvents(orchestrator.pool), BuildRow(orchestrator.pool, hub.tell)
    watch = Watch(Feeds(events, hub, stopping), LiveText(), stopping)
    began = time.monotonic()
    async with asyncio.TaskGroup() as watching:
        told = [watching.create_task(_follow(watch, claim)) for _ in range(THOUSAND)]
        for head in range(1, history.head + 1):
            await row.project(claim, prefix(history, head), 0)
    last = await orchestrator.pool.fetchval("SELECT event_sequence FROM builds")
    assert [each.result() for each in told] == [list(range(1, last + 1))] * THOUSAND
    # One for each projection, one each half second, and a few for those who were there first.
    assert events.reads <= history.head + (time.monotonic() - began) / POLL_SECONDS + 3


async def _follow(watch: Watch, claim: Claim) -> list[int]:
    numbers: list[int] = []
    async for page in watch.follow(claim.tenant_id, claim.build_id, 0):
        numbers += [event.sequence for event in page]
        if is_terminal(wire_event(page[-1])):
            break
    return numbers


async def _watch(replica: Orchestrator, claim: Claim, after: int, may_go_on: asyncio.Event | None = None) -> list[int]:
    """The numbers of all events that a watcher gets; a slow one reads the first, and the others when it may."""
    request = pb.WatchBuildRequest(build_id=claim.build_id, after_sequence=after)
    numbers: list[int] = []
    async for response in replica.stub.WatchBuild(request, timeout=WATCH_SECONDS):
        numbers.append(response.event.sequence)
        if may_go_on is not None:
            await may_go_on.wait()
    return numbers


def _history(claim: Claim) -> History:
    """Some turns with tools, and an end."""
    entries = [Entry(1, 1, 1, EntryKind.HEAD, b"{}"), Entry(2, 1, 1, EntryKind.USER, context.note_body("Go on."))]
    uses = [{"type": "tool_use", "id": "t", "name": "narrate", "input": {"message": "x" * 1000}}] * 3
    started = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    for turn in range(TURNS):
        call = ModelCall(f"{claim.build_id}/1/{turn}", b"", "model", 10, USAGE, "tool_use", "price", started)
        body = orjson.dumps({"role": "assistant", "content": uses})
        answer = Entry(len(entries) + 1, 1, 1, EntryKind.ASSISTANT, body, (), call)
        results = context.results_body(tool_uses(answer), [ToolAnswer("Shown.")] * len(uses))
        entries += [answer, Entry(len(entries) + 2, 1, 1, EntryKind.USER, results)]
    outcome = localtools.outcome_body(Outcome(BuildState.SUCCEEDED, "over"))
    return History((*entries, Entry(len(entries) + 1, 1, 1, EntryKind.OUTCOME, outcome)))
