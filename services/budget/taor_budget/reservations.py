"""The nouns of the ledger: what is asked of it, what it sets aside, and how that ends."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Self

from taor_budget.bound import BoundRates
from taor_budget.pricing import Usage


class Kind(Enum):
    """What money is set aside for."""

    CALL = "CALL"
    HANDOVER = "HANDOVER"
    EARMARK = "EARMARK"


class State(Enum):
    """Where a reservation stands; every state but HELD is closed."""

    HELD = "HELD"
    SETTLED = "SETTLED"
    RELEASED = "RELEASED"
    CHARGED = "CHARGED"
    EXPIRED = "EXPIRED"


class Cause(Enum):
    """Why no money was set aside."""

    LIMIT = "LIMIT"
    HOLDS = "HOLDS"
    STALE = "STALE"


@dataclass(frozen=True, slots=True)
class Rid:
    """The id of a model call: its build, the epoch that makes it, and its number in that epoch."""

    build_id: str
    epoch: int
    k: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `{build_id}/{epoch}/{k}`. Raises ValueError for any other spelling."""
        build_id, epoch, k = text.split("/")
        rid = cls(build_id, int(epoch), int(k))
        if str(rid) != text or rid.epoch < 1 or rid.k < 0:
            raise ValueError(f"{text!r} is not {{build_id}}/{{epoch}}/{{k}}")
        return rid

    def __str__(self) -> str:
        return f"{self.build_id}/{self.epoch}/{self.k}"


@dataclass(frozen=True, slots=True)
class Need:
    """How much a call may need, in tokens; the money may be granted for fewer output tokens than the most wanted.

    An earmark beside it is granted with it, or neither is. What it replaces is given back, if it is granted.
    """

    rid: Rid
    kind: Kind
    needs_sequence: int
    prompt_tokens: int
    min_output_tokens: int
    max_output_tokens: int
    earmark: "Need | None" = None
    replaces: Rid | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call has used, None when nobody knows, and the names of the tools that its answer asked for."""

    rid: Rid
    usage: Usage | None
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Money that is set aside, the output tokens that it carries, and the rates with which a caller bounds anew."""

    held_microdollars: int
    max_output_tokens: int
    rates: BoundRates
    price_id: str
    life_seconds: float
    earmark: "Grant | None" = None


@dataclass(frozen=True, slots=True)
class Denial:
    """Why no money was set aside, and from when on it may be."""

    cause: Cause
    account_version: int
    refresh_at: datetime
    needed_microdollars: int
    free_microdollars: int


@dataclass(frozen=True, slots=True)
class Closing:
    """How a reservation stands after a close; `changed` unless this was a repetition."""

    state: State
    booked_microdollars: int
    overrun_microdollars: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a user may spend today, in microdollars."""

    allowance_microdollars: int
    hard_limit_microdollars: int
    spent_microdollars: int
    reserved_microdollars: int
    refresh_at: datetime
    account_version: int
    cycle_left_microdollars: int
    cycle_ends_at: datetime
    build_spent_microdollars: int
    """Of the build whose call this answers; 0 where no build is meant."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of a settlement and of a need, each None where it was not asked for, and the allowance after both."""

    closing: Closing | None
    outcome: Grant | Denial | None
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class Reservation:
    """One reservation, open or closed."""

    rid: Rid
    kind: Kind
    state: State
    needs_sequence: int
    held_microdollars: int
    booked_microdollars: int
    price_id: str
    usage: Usage | None
    reason: str
    reserved_at: datetime
    expires_at: datetime
    closed_at: datetime | None


class AdjustmentKind(Enum):
    """What a person can change about an account."""

    TOP_UP = "TOP_UP"
    PLAN_CHANGE = "PLAN_CHANGE"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of what a user may spend, as a person asked for it; money in microdollars."""

    request_id: str
    kind: AdjustmentKind
    microdollars: int
    tier_before: str
    tier_after: str
    cycle_delta: int
    allowance_delta: int
    hard_limit_delta: int
    at: datetime


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change of one period's counters, in microdollars."""

    sequence: int
    rid: Rid | None
    period: str
    allowance_delta: int
    limit_delta: int
    reserved_delta: int
    spent_delta: int
    overrun_delta: int
    at: datetime
    request_id: str
    """Of the adjustment that it belongs to; empty for all else."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The counters of one period, in microdollars; a build has no limit of its own, and only a day has an allowance."""

    period: str
    allowance: int | None
    limit: int | None
    reserved: int
    spent: int
    overrun: int
