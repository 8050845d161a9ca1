"""How the ledger's nouns travel to PostgreSQL and back: composite values one way, records the other."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from taor_budget.allowance import Period, Today
from taor_budget.pricing import Price, Usage, cost_microdollars
from taor_budget.reservations import (
    Balance,
    Cause,
    Closing,
    JournalEntry,
    Kind,
    Need,
    Reservation,
    Rid,
    Settlement,
    State,
)


@dataclass(frozen=True, slots=True)
class Priced:
    """A need with the price that it is asked at and the least and the most money that it can use."""

    need: Need
    price_id: str
    price_since: datetime
    price_until: datetime | None
    min_microdollars: int
    max_microdollars: int
    life: timedelta


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ledger said to a need: a refusal of the call, a cause of denial, or money held."""

    refusal: str | None
    highest_epoch: int
    cause: Cause | None
    version: int | None
    needed_microdollars: int
    free_microdollars: int
    held_microdollars: int
    price_id: str
    life_seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """What the ledger said to a close: a refusal, or how the reservation stands."""

    refusal: str | None
    closing: Closing | None
    highest_epoch: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """The allowance as the ledger counts it; the instants come from the day that was asked for."""

    allowance: int
    hard_limit: int
    spent: int
    reserved: int
    cycle_left: int
    version: int
    build_spent: int


@dataclass(frozen=True, slots=True)
class TurnCall:
    """What `ledger_turn` is asked: whose account, and the rest of a `ledger_call`."""

    tenant_id: str
    user_id: str
    asked: tuple[object, ...]

    @property
    def account(self) -> tuple[str, str]:
        """The account that is locked."""
        return self.tenant_id, self.user_id

    @property
    def row(self) -> tuple[object, ...]:
        """The `ledger_call`."""
        return self.tenant_id, self.user_id, *self.asked


@dataclass(frozen=True, slots=True)
class LedgerTurn:
    """The answer to a turn, and the time of the database at which it was given.

    Without counters: the day or the price that was asked with is not the one of that time.
    """

    at: datetime
    ended: Ended | None
    answer: Answer | None
    earmark: Answer | None
    counters: Counters | None


def today_row(today: Today) -> tuple[object, ...]:
    """A day and its cycle as `ledger_today`."""
    return (*_period("cycle", today.cycle), *_period("day", today.day), today.days_left)


def _period(kind: str, period: Period) -> tuple[object, ...]:
    return f"{kind}/{period.key.isoformat()}", period.start, period.end


def settlement_row(settlement: Settlement, prices: tuple[Price, ...]) -> tuple[object, ...]:
    """A `ledger_settlement`, with the cost at every price of the model: which of them counts stands in the hold."""
    usage = settlement.usage
    return (
        settlement.rid.epoch,
        settlement.rid.k,
        usage and _usage_row(usage),
        [price.price_id for price in prices] if usage else [],
        [cost_microdollars(usage, price) for price in prices] if usage else [],
    )


def _usage_row(usage: Usage) -> tuple[int, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
    )


def need_row(priced: Priced) -> tuple[object, ...]:
    """A priced need as `ledger_need`."""
    need = priced.need
    return (
        need.rid.k,
        need.kind.value,
        need.needs_sequence,
        need.prompt_tokens,
        need.min_output_tokens,
        need.max_output_tokens,
        priced.price_id,
        priced.price_since,
        priced.price_until,
        priced.min_microdollars,
        priced.max_microdollars,
        priced.life,
    )


def ended_of(row: asyncpg.Record | None) -> Ended | None:
    """A `ledger_closing`; None where nothing was to be closed."""
    if row is None:
        return None
    if row["refusal"] is not None:
        return Ended(row["refusal"], None, state=row["state"] or "")
    return Ended(None, Closing(State(row["state"]), row["booked"], row["overrun"], row["changed"]))


def turn_of(row: asyncpg.Record) -> LedgerTurn:
    """What `ledger_turn` gives."""
    return LedgerTurn(
        row["at"],
        ended_of(row["closing"]),
        _answer_of(row["answer"]),
        _answer_of(row["earmark"]),
        counters_of(row["allowance"]),
    )


def _answer_of(row: asyncpg.Record | None) -> Answer | None:
    """A `ledger_answer`; None where nothing was needed."""
    if row is None:
        return None
    return Answer(
        refusal=row["refusal"],
        highest_epoch=row["highest_epoch"],
        cause=Cause(row["cause"]) if row["cause"] else None,
        version=row["version"],
        needed_microdollars=row["needed"] or 0,
        free_microdollars=row["free"] or 0,
        held_microdollars=row["held"] or 0,
        price_id=row["price_id"] or "",
        life_seconds=row["life_seconds"] or 0.0,
    )


def counters_of(row: asyncpg.Record | None) -> Counters | None:
    """A `ledger_allowance`; None where the turn was refused or rolled."""
    return None if row is None else Counters(*row.values())


def reservation_of(row: asyncpg.Record) -> Reservation:
    """A row of `reservations`."""
    return Reservation(
        rid=Rid(str(row["build_id"]), row["epoch"], row["k"]),
        kind=Kind(row["kind"]),
        state=State(row["state"]),
        needs_sequence=row["needs_sequence"],
        held_microdollars=row["held"],
        booked_microdollars=row["booked"],
        price_id=row["price_id"],
        usage=row["usage"] and Usage(*row["usage"].values()),
        reason=row["reason"],
        reserved_at=row["reserved_at"],
        expires_at=row["expires_at"],
        closed_at=row["closed_at"],
    )


def entry_of(row: asyncpg.Record) -> JournalEntry:
    """A row of `journal`."""
    rid = Rid(str(row["build_id"]), row["epoch"], row["k"]) if row["build_id"] else None
    return JournalEntry(row["sequence"], rid, row["period"], *list(row.values())[5:])


def balance_of(row: asyncpg.Record) -> Balance:
    """A row of `periods`."""
    return Balance(*row.values())
