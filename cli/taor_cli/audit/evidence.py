"""Everything that an audit looks at, read once and then frozen: the checks are pure functions over it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from taor_cli.builds import Build, BuildState
from taor_cli.events import Event


class LogKind(StrEnum):
    """What an entry of the log is."""

    HEAD = "HEAD"
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    OUTCOME = "OUTCOME"
    UNKNOWN = "UNKNOWN"


class HoldState(StrEnum):
    """Where a reservation stands."""

    HELD = "HELD"
    SETTLED = "SETTLED"
    RELEASED = "RELEASED"
    CHARGED = "CHARGED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


class OperationState(StrEnum):
    """Where a tool call stands."""

    STARTING = "STARTING"
    DONE = "DONE"
    INTERRUPTED = "INTERRUPTED"
    LOST = "LOST"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one model call; the four kinds of prompt tokens do not overlap."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt; its size selects the tier of the price."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens


@dataclass(frozen=True, slots=True)
class Call:
    """The model call that an ASSISTANT entry answers."""

    rid: str
    request_sha256: bytes
    model: str
    max_output_tokens: int
    usage: Usage | None
    price_id: str
    start_time: datetime


@dataclass(frozen=True, slots=True)
class LogRow:
    """One entry of the log."""

    sequence: int
    segment: int
    epoch: int
    kind: LogKind
    body: bytes
    body_sha256: bytes
    inbox_ids: tuple[str, ...]
    call: Call | None
    append_time: datetime
    origin_build_id: str = ""
    """The build that wrote it, where a fork has inherited it: paid for, told and heard there."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One reservation."""

    rid: str
    epoch: int
    state: HoldState
    held_microdollars: int
    booked_microdollars: int
    price_id: str
    usage: Usage | None
    reason: str
    reserve_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Price:
    """One dated row of the price table, in microdollars per million tokens."""

    price_id: str
    model: str
    effective_time: datetime
    above_prompt_tokens: int
    input_rate: int
    output_rate: int
    cache_read_rate: int
    cache_write_5m_rate: int
    cache_write_1h_rate: int


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One change of the counters of a period of the account."""

    sequence: int
    rid: str
    period: str
    limit_delta: int
    reserved_delta: int
    spent_delta: int
    overrun_delta: int


@dataclass(frozen=True, slots=True)
class Balance:
    """The counters of a period of the account as they stand."""

    period: str
    limit: int
    reserved: int
    spent: int
    overrun: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One tool call as the sandbox's journal knows it."""

    op_id: str
    log_sequence: int
    generation: int
    state: OperationState
    result_sha256: bytes
    claims: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of the project's files."""

    snapshot_id: str
    covers_op_id: str
    covers_log_sequence: int
    generation: int
    """Of the sandbox that it was taken of; 0 for one that a fork has inherited."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox of the build."""

    state: str
    generation: int
    epoch: int


@dataclass(frozen=True, slots=True)
class InboxItem:
    """Something that was sent to the build."""

    inbox_id: str
    is_cancel: bool
    log_sequence: int
    """The log entry that carries it; 0 while it is unread."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the orchestrator knows of the build's inner state, all of it at one moment."""

    state: BuildState
    epoch: int
    projected_sequence: int
    ticketed: bool
    inbox: tuple[InboxItem, ...]


@dataclass(frozen=True, slots=True)
class Billed:
    """What the scripted model says that it billed for one request."""

    line: int
    request_sha256: bytes
    model: str
    time: datetime
    usage: Usage


@dataclass(frozen=True, slots=True)
class Evidence:
    """One build and everything written about it. `sandbox` is None when it never had one."""

    read_time: datetime
    build: Build
    inspection: Inspection
    checkpoint_epoch: int
    log: tuple[LogRow, ...]
    log_unreadable: str
    """Why the log could not be read to its end; empty as a rule."""
    holds: tuple[Hold, ...]
    prices: tuple[Price, ...]
    journal: tuple[JournalRow, ...]
    balances: tuple[Balance, ...]
    operations: tuple[Operation, ...]
    snapshots: tuple[Snapshot, ...]
    sandbox: Sandbox | None
    events: tuple[Event, ...]
    billed: tuple[Billed, ...] | None
    """None where the model keeps no record that can be read: a real one."""

    @property
    def own_calls(self) -> dict[str, LogRow]:
        """The ASSISTANT entries that this build paid for, by rid; what a fork inherited is paid for elsewhere."""
        prefix = f"{self.build.build_id}/"
        return {row.call.rid: row for row in self.log if row.call is not None and row.call.rid.startswith(prefix)}
