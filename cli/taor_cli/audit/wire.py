"""Wire messages of the four services as evidence."""

from taor.budget.v1 import budget_pb2
from taor.checkpoint.v1 import checkpoint_pb2
from taor.orchestrator.v1 import orchestrator_pb2
from taor.sandbox.v1 import sandbox_pb2

from taor_cli.audit.evidence import (
    Balance,
    Call,
    Hold,
    HoldState,
    InboxItem,
    Inspection,
    JournalRow,
    LogKind,
    LogRow,
    Operation,
    OperationState,
    Price,
    Sandbox,
    Snapshot,
    Usage,
)
from taor_cli.translate import moment, state

_KINDS = {
    checkpoint_pb2.LogEntry.HEAD: LogKind.HEAD,
    checkpoint_pb2.LogEntry.USER: LogKind.USER,
    checkpoint_pb2.LogEntry.ASSISTANT: LogKind.ASSISTANT,
    checkpoint_pb2.LogEntry.OUTCOME: LogKind.OUTCOME,
}
_HOLDS = {
    budget_pb2.Reservation.HELD: HoldState.HELD,
    budget_pb2.Reservation.SETTLED: HoldState.SETTLED,
    budget_pb2.Reservation.RELEASED: HoldState.RELEASED,
    budget_pb2.Reservation.CHARGED: HoldState.CHARGED,
    budget_pb2.Reservation.EXPIRED: HoldState.EXPIRED,
}
_OPERATIONS = {
    sandbox_pb2.Operation.STARTING: OperationState.STARTING,
    sandbox_pb2.Operation.DONE: OperationState.DONE,
    sandbox_pb2.Operation.INTERRUPTED: OperationState.INTERRUPTED,
    sandbox_pb2.Operation.LOST: OperationState.LOST,
}


def log_row(entry: checkpoint_pb2.LogEntry) -> LogRow:
    """An entry of the log."""
    return LogRow(
        sequence=entry.sequence,
        segment=entry.segment,
        epoch=entry.epoch,
        kind=_KINDS.get(entry.kind, LogKind.UNKNOWN),
        body=entry.body,
        body_sha256=entry.body_sha256,
        inbox_ids=tuple(entry.inbox_ids),
        call=_call(entry.call) if entry.HasField("call") else None,
        append_time=moment(entry.append_time),
        origin_build_id=entry.origin_build_id,
    )


def _call(call: checkpoint_pb2.ModelCall) -> Call:
    return Call(
        rid=call.rid,
        request_sha256=call.request_sha256,
        model=call.model,
        max_output_tokens=call.max_output_tokens,
        usage=_usage(call.usage) if call.HasField("usage") else None,
        price_id=call.price_id,
        start_time=moment(call.start_time),
    )


def _usage(usage: checkpoint_pb2.Usage | budget_pb2.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )


def hold(reservation: budget_pb2.Reservation) -> Hold:
    """A reservation."""
    return Hold(
        rid=reservation.rid,
        epoch=reservation.epoch,
        state=_HOLDS.get(reservation.state, HoldState.UNKNOWN),
        held_microdollars=reservation.held_microdollars,
        booked_microdollars=reservation.booked_microdollars,
        price_id=reservation.price_id,
        usage=_usage(reservation.usage) if reservation.HasField("usage") else None,
        reason=reservation.reason,
        reserve_time=moment(reservation.reserve_time),
        expire_time=moment(reservation.expire_time),
    )


def price(row: budget_pb2.Price) -> Price:
    """A row of the price table."""
    return Price(
        price_id=row.price_id,
        model=row.model,
        effective_time=moment(row.effective_time),
        above_prompt_tokens=row.above_prompt_tokens,
        input_rate=row.input_microdollars_per_mtok,
        output_rate=row.output_microdollars_per_mtok,
        cache_read_rate=row.cache_read_microdollars_per_mtok,
        cache_write_5m_rate=row.cache_write_5m_microdollars_per_mtok,
        cache_write_1h_rate=row.cache_write_1h_microdollars_per_mtok,
    )


def journal_row(entry: budget_pb2.JournalEntry) -> JournalRow:
    """A row of the journal."""
    return JournalRow(
        sequence=entry.sequence,
        rid=entry.rid,
        period=entry.period,
        limit_delta=entry.limit_delta_microdollars,
        reserved_delta=entry.reserved_delta_microdollars,
        spent_delta=entry.spent_delta_microdollars,
        overrun_delta=entry.overrun_delta_microdollars,
    )


def balance(row: budget_pb2.PeriodBalance) -> Balance:
    """The counters of a period."""
    return Balance(
        period=row.period,
        limit=row.limit_microdollars,
        reserved=row.reserved_microdollars,
        spent=row.spent_microdollars,
        overrun=row.overrun_microdollars,
    )


def operation(row: sandbox_pb2.Operation) -> Operation:
    """A tool call of the journal."""
    return Operation(
        op_id=row.op_id,
        log_sequence=row.log_sequence,
        generation=row.generation,
        state=_OPERATIONS.get(row.state, OperationState.UNKNOWN),
        result_sha256=row.result_sha256,
        claims=row.claims,
    )


def snapshot(row: sandbox_pb2.Snapshot) -> Snapshot:
    """A snapshot."""
    return Snapshot(row.snapshot_id, row.covers_op_id, row.covers_log_sequence, row.generation)


def sandbox(row: sandbox_pb2.GetSandboxResponse) -> Sandbox:
    """The sandbox."""
    return Sandbox(sandbox_pb2.GetSandboxResponse.State.Name(row.state), row.generation, row.epoch)


def inspection(row: orchestrator_pb2.InspectBuildResponse) -> Inspection:
    """The inner state of a build."""
    return Inspection(
        state=state(row.state),
        epoch=row.epoch,
        projected_sequence=row.projected_sequence,
        ticketed=row.ticketed,
        inbox=tuple(
            InboxItem(item.inbox_id, item.kind == orchestrator_pb2.InboxItem.CANCEL, item.log_sequence)
            for item in row.inbox
        ),
    )
