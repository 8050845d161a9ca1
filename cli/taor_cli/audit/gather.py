"""Reads everything that is written about a build, through the contracts of the four services.

The order matters where one thing must lie within another: what must lie within is read first, so that a build at work
gives no false alarm.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
from taor.budget.v1 import budget_pb2
from taor.checkpoint.v1 import checkpoint_pb2
from taor.orchestrator.v1 import orchestrator_pb2
from taor.sandbox.v1 import sandbox_pb2

from taor_cli import translate
from taor_cli.audit import wire
from taor_cli.audit.billing import read_record
from taor_cli.audit.evidence import (
    Balance,
    Evidence,
    Hold,
    Inspection,
    JournalRow,
    LogRow,
    Operation,
    Price,
    Sandbox,
    Snapshot,
)
from taor_cli.builds import Build
from taor_cli.clients import Clients
from taor_cli.events import Event
from taor_cli.exits import ThingFailedError

STREAM_SECONDS = 60.0
QUIET_SECONDS = 20.0
MAX_JOURNAL_ROWS = 500_000


async def gather(clients: Clients, build: Build, model_record: Path | None) -> Evidence:
    """Read it all. Raises what the services raise; ThingFailedError when the account is too large to read."""
    reader = _Reader(clients, build)
    billed = read_record(model_record, build.build_id) if model_record else None
    checkpoint_epoch = await reader.checkpoint_epoch()
    sandbox, operations, snapshots = await reader.sandbox()
    events = [event async for event in reader.events()]
    log, unreadable = await reader.log()
    holds = [hold async for hold in reader.holds()]
    journal, balances = await reader.journal()
    prices = await reader.prices()
    inspection = await reader.inspection()
    return Evidence(
        read_time=datetime.now(UTC),
        build=await reader.build(),
        inspection=inspection,
        checkpoint_epoch=checkpoint_epoch,
        log=log,
        log_unreadable=unreadable,
        holds=tuple(holds),
        prices=prices,
        journal=journal,
        balances=balances,
        operations=operations,
        snapshots=snapshots,
        sandbox=sandbox,
        events=tuple(events),
        billed=billed,
    )


class _Reader:
    """One build as the four services know it."""

    def __init__(self, clients: Clients, build: Build) -> None:
        self._clients = clients
        self._build = build
        self._id = build.build_id

    async def build(self) -> Build:
        """The build as it is now."""
        request = orchestrator_pb2.GetBuildRequest(build_id=self._id)
        return translate.build((await self._clients.orchestrator.GetBuild(request)).build)

    async def inspection(self) -> Inspection:
        """What the orchestrator knows of its inner state."""
        request = orchestrator_pb2.InspectBuildRequest(build_id=self._id)
        return wire.inspection(await self._clients.orchestrator.InspectBuild(request))

    async def events(self) -> AsyncIterator[Event]:
        """All events that there are when the reading begins, or those that come."""
        last = self._build.last_event_sequence
        if not last:
            return
        request = orchestrator_pb2.WatchBuildRequest(build_id=self._id)
        stream = aiter(self._clients.orchestrator.WatchBuild(request, timeout=STREAM_SECONDS))
        sequence = 0
        while sequence < last:
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    response = await anext(stream)
            except (StopAsyncIteration, TimeoutError):
                return  # an event that never comes is for the check to find
            event = translate.event(response.event)
            sequence = event.sequence
            yield event

    async def checkpoint_epoch(self) -> int:
        """The fence of the history; 0 before its first claim."""
        request = checkpoint_pb2.GetSessionRequest(build_id=self._id)
        try:
            return (await self._clients.checkpoint.GetSession(request)).epoch
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return 0

    async def log(self) -> tuple[tuple[LogRow, ...], str]:
        """The log from its beginning, and what stands in the way of reading it to its end: nothing, as a rule."""
        request = checkpoint_pb2.ReadLogRequest(build_id=self._id)
        rows: list[LogRow] = []
        unreadable = ""
        try:
            async for response in self._clients.checkpoint.ReadLog(request, timeout=STREAM_SECONDS):
                rows += map(wire.log_row, response.entries)
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.NOT_FOUND:
                    pass  # never claimed: there is no log yet
                case grpc.StatusCode.DATA_LOSS:
                    unreadable = error.details() or "an entry cannot be read"
                case _:
                    raise
        return tuple(rows), unreadable

    async def sandbox(self) -> tuple[Sandbox | None, tuple[Operation, ...], tuple[Snapshot, ...]]:
        """The sandbox with its journal and snapshots; nothing when there never was one."""
        stub = self._clients.sandbox
        operations: list[Operation] = []
        request = sandbox_pb2.ListOperationsRequest(build_id=self._id)
        try:
            while True:
                page = await stub.ListOperations(request)
                operations += map(wire.operation, page.operations)
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
            snapshots = await stub.ListSnapshots(sandbox_pb2.ListSnapshotsRequest(build_id=self._id))
            state = await stub.GetSandbox(sandbox_pb2.GetSandboxRequest(build_id=self._id))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return None, (), ()
        return wire.sandbox(state), tuple(operations), tuple(map(wire.snapshot, snapshots.snapshots))

    async def holds(self) -> AsyncIterator[Hold]:
        """The reservations, oldest first."""
        request = budget_pb2.ListReservationsRequest(build_id=self._id)
        while True:
            page = await self._clients.budget.ListReservations(request)
            for reservation in page.reservations:
                yield wire.hold(reservation)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def journal(self) -> tuple[tuple[JournalRow, ...], tuple[Balance, ...]]:
        """The journal of the user's account, and the counters that it must sum to."""
        rows: list[JournalRow] = []
        request = budget_pb2.ListJournalRequest(user_id=self._build.user_id, page_size=5_000)
        while True:
            page = await self._clients.budget.ListJournal(request)
            rows += map(wire.journal_row, page.entries)
            if len(rows) > MAX_JOURNAL_ROWS:
                raise ThingFailedError(
                    f"the account has more than {MAX_JOURNAL_ROWS:,} journal rows, too many to audit here"
                )
            if not page.next_page_token:
                return tuple(rows), tuple(map(wire.balance, page.balances))
            request.page_token = page.next_page_token

    async def prices(self) -> tuple[Price, ...]:
        """The whole price table."""
        table = await self._clients.budget.ListPrices(budget_pb2.ListPricesRequest())
        return tuple(map(wire.price, table.prices))
