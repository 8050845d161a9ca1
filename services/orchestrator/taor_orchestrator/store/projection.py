"""The build's row as the loop reaches it: projection, rest and inbox, fenced by the epoch of the claim."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import asyncpg

from taor_orchestrator import escalation, localtools
from taor_orchestrator.build import BuildState, Claim
from taor_orchestrator.events import Derived, Documented, ToolCalled, TurnTaken, derive
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.inbox import InboxText, Signals, TextKind
from taor_orchestrator.money import Forecast
from taor_orchestrator.ports import NO_FORECASTS, Builds, LeaseLost, Rest
from taor_orchestrator.store.failures import dependable
from taor_orchestrator.store.leases import SIGNALS, signals_of
from taor_orchestrator.store.payloads import forecast_of, payload_of, plain

PROJECT = "SELECT outcome, cursor FROM project_build($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)"
CURSOR = "SELECT projected_sequence FROM builds WHERE build_id = $1 AND tenant_id = $2"
WAKE_GENERATION = "SELECT wake_generation FROM builds WHERE build_id = $1 AND tenant_id = $2"
REST = "SELECT rest_build($1, $2, $3, $4, $5, $6, $7, $8)"
FINISHED_TURNS = """
    SELECT turns FROM (SELECT user_id, state, turns FROM builds WHERE tenant_id = $1 ORDER BY build_id DESC LIMIT 1000)
    AS newest WHERE user_id = $2 AND state = 'SUCCEEDED'"""
WAIT = "SELECT let_build_wait($1, $2, $3, $4)"
UNREAD = """
    SELECT inbox_id, kind, content FROM inbox
    WHERE build_id = $1 AND tenant_id = $2 AND log_sequence = 0 AND kind <> 'CANCEL'
    ORDER BY created_at, inbox_id LIMIT 100"""
SIGNS = f"SELECT {SIGNALS} FROM builds b WHERE build_id = $1 AND tenant_id = $2"
CANCEL_ITEM = "SELECT inbox_id FROM inbox WHERE build_id = $1 AND tenant_id = $2 AND kind = 'CANCEL' LIMIT 1"


class BuildRow(Builds):
    """Implements the `Builds` port for one tenure; it remembers how far the log is projected."""

    def __init__(self, pool: asyncpg.Pool, tell: Callable[[str], None]) -> None:
        self._pool = pool
        self._tell = tell
        self._cursor: int | None = None

    async def project(
        self, claim: Claim, history: History, spent_microdollars: int, forecasts: Mapping[int, Forecast] = NO_FORECASTS
    ) -> None:
        """Derive what every entry above the cursor tells, in one transaction; `LeaseLost` when the epoch has moved."""
        async with dependable():
            while True:
                if self._cursor is None:
                    self._cursor = await self._pool.fetchval(CURSOR, UUID(claim.build_id), claim.tenant_id)
                assert self._cursor is not None
                arguments = _arguments(claim, history, self._cursor, spent_microdollars, forecasts)
                [(outcome, self._cursor)] = await self._pool.fetch(PROJECT, *arguments)
                match outcome:
                    case "PROJECTED":
                        return self._tell(claim.build_id)
                    case "FENCED":
                        raise LeaseLost(f"{claim.build_id} is held by a newer epoch than {claim.epoch}")

    async def wake_generation(self, claim: Claim) -> int:
        """How often the build was woken."""
        async with dependable():
            return int(await self._pool.fetchval(WAKE_GENERATION, UUID(claim.build_id), claim.tenant_id))

    async def rest(self, claim: Claim, rest: Rest, wake_generation: int) -> datetime.datetime | None:
        """Put the build to rest, unless it was woken or taken since; when it wakes, by the database's clock."""
        async with dependable():
            at_least = datetime.timedelta(seconds=rest.at_least_seconds)
            arguments = (rest.state.value, rest.denied_version, rest.not_before, at_least, forecast_of(rest.forecast))
            build_id = UUID(claim.build_id)
            wake_time = await self._pool.fetchval(REST, build_id, claim.epoch, wake_generation, *arguments)
        self._tell(claim.build_id)
        assert wake_time is None or isinstance(wake_time, datetime.datetime)
        return wake_time

    async def wait(self, claim: Claim, state: BuildState, wake_generation: int) -> bool:
        """Let the build wait for people, unless something has come up."""
        async with dependable():
            waits = await self._pool.fetchval(WAIT, UUID(claim.build_id), claim.epoch, wake_generation, state.value)
        self._tell(claim.build_id)
        return bool(waits)

    async def finished_turns(self, claim: Claim) -> Sequence[int]:
        """How many turns the newest builds of the same user took that have succeeded."""
        async with dependable():
            rows = await self._pool.fetch(FINISHED_TURNS, claim.tenant_id, claim.user_id)
        return [row["turns"] for row in rows]

    async def unread(self, claim: Claim) -> Sequence[InboxText]:
        """The texts that are not marked as read, oldest first."""
        async with dependable():
            rows = await self._pool.fetch(UNREAD, UUID(claim.build_id), claim.tenant_id)
        return [InboxText(str(row["inbox_id"]), TextKind(row["kind"]), row["content"]) for row in rows]

    async def signals(self, claim: Claim) -> Signals:
        """What waits for the worker of the build."""
        async with dependable():
            row = await self._pool.fetchrow(SIGNS, UUID(claim.build_id), claim.tenant_id)
        assert row is not None
        return signals_of(row)

    async def cancel_item(self, claim: Claim) -> str | None:
        """The inbox id of the cancellation, if one stands."""
        async with dependable():
            item = await self._pool.fetchval(CANCEL_ITEM, UUID(claim.build_id), claim.tenant_id)
        return None if item is None else str(item)


def _arguments(
    claim: Claim, history: History, cursor: int, spent_microdollars: int, forecasts: Mapping[int, Forecast]
) -> tuple[object, ...]:
    derived = list(derive(history, cursor))
    written = [each.event for each in derived if isinstance(each.event, Documented)]
    documents = {event.section: plain(event.content) for event in written}
    read = [(UUID(item), entry.sequence) for entry in history.entries[cursor:] for item in entry.inbox_ids]
    return (
        UUID(claim.build_id),
        claim.epoch,
        cursor,
        max(history.head, cursor),
        spent_microdollars,
        _count(derived, TurnTaken),
        _count(derived, ToolCalled),
        [each.log_sequence for each in derived],
        [each.position for each in derived],
        [payload_of(each.event, forecasts.get(each.log_sequence)) for each in derived],
        list(documents.keys()),
        list(documents.values()),
        [item for item, _ in read],
        [sequence for _, sequence in read],
        *_ending(history.tail, cursor),
        escalation.open_question(history),
    )


def _count(derived: Sequence[Derived], kind: type[object]) -> int:
    return sum(isinstance(each.event, kind) for each in derived)


def _ending(tail: Entry | None, cursor: int) -> tuple[str | None, str | None, int | None]:
    if tail is None or tail.kind is not EntryKind.OUTCOME or tail.sequence <= cursor:
        return None, None, None
    outcome = localtools.read_outcome(tail.body)
    return outcome.state.value, plain(outcome.message), outcome.preview_port
