"""The statement that changes what an account may spend: a call of the function in `sql/adjustments.sql`."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from taor_budget.allowance import Today
from taor_budget.reservations import Adjustment, AdjustmentKind
from taor_budget.store.rows import Counters, counters_of, today_row

_ADJUST = "SELECT * FROM ledger_adjust($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for under an id: a top-up, or a plan by its tier and the money that it grants to a cycle."""

    request_id: str
    request_sha256: bytes
    kind: AdjustmentKind
    microdollars: int = 0
    tier: str | None = None
    cycle_microdollars: int | None = None


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The answer to a wish: what its id stands for, and the hash of the request that came first under it."""

    at: datetime
    adjustment: Adjustment | None
    request_sha256: bytes
    counters: Counters | None


class AdjustmentStore:
    """Top-ups and changes of plan in PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def adjust(self, tenant_id: str, user_id: str, wish: Wish, today: Today) -> Adjusted:
        """Do as asked unless it was done; no adjustment when the day is not the one of this instant."""
        asked = (
            wish.request_id,
            wish.request_sha256,
            wish.kind.value,
            wish.microdollars,
            wish.tier,
            wish.cycle_microdollars,
        )
        row = await self._pool.fetchrow(_ADJUST, tenant_id, user_id, asked, today_row(today))
        assert row is not None
        if row["rolled"]:
            return Adjusted(row["at"], None, b"", None)
        made = row["adjustment"]
        return Adjusted(row["at"], _adjustment(made), made["request_sha256"], counters_of(row["allowance"]))


def _adjustment(row: asyncpg.Record) -> Adjustment:
    return Adjustment(
        request_id=row["request_id"],
        kind=AdjustmentKind(row["kind"]),
        microdollars=row["microdollars"],
        tier_before=row["tier_before"],
        tier_after=row["tier_after"],
        cycle_delta=row["cycle_delta"],
        allowance_delta=row["allowance_delta"],
        hard_limit_delta=row["limit_delta"],
        at=row["at"],
    )
