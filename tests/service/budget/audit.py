"""An independent audit of the ledger's tables: it re-adds the journal at every prefix, in Python.

It shares no code with the ledger but the price table. The properties are named as in docs: B1 never over, B2 rows are
sums, B3 one close, B5 no hold outlives its life, B7 periods do not overlap, B8 one rounding.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import asyncpg

from taor_budget.pricing import PriceTable

Row: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
COUNTERS = ("limit", "allowance", "reserved", "spent", "overrun")


@dataclass
class Tables:
    """Everything about one tenant, read in one snapshot."""

    accounts: Sequence[Row]
    periods: Sequence[Row]
    reservations: Sequence[Row]
    journal: Sequence[Row]
    overdue: int


@dataclass
class Sums:
    """The counters of one period as the journal adds up."""

    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def add(self, row: Row) -> None:
        """Add one entry."""
        for name in COUNTERS:
            self.counters[name] += row[f"{name}_delta"]

    @property
    def used(self) -> int:
        """What is spent or set aside."""
        return self.counters["spent"] + self.counters["reserved"]


async def audit(pool: asyncpg.Pool, tenant_id: str, prices: PriceTable, user_id: str | None = None) -> list[str]:
    """Every violation found in the accounts of a tenant, or in one of them; an empty list is a clean ledger."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        tables = await _read(connection, tenant_id, user_id)
    return [
        *_check_journal(tables),
        *_check_reservations(tables),
        *_check_costs(tables, prices),
        *_check_overlaps(tables.periods),
        *([f"B5: {tables.overdue} holds outlive their life"] if tables.overdue else []),
    ]


async def _read(connection: Connection, tenant_id: str, user_id: str | None) -> Tables:
    whose = "tenant_id = $1 AND ($2::text IS NULL OR user_id = $2)"

    def of(table: str, order: str) -> str:
        return f"SELECT * FROM {table} WHERE {whose} ORDER BY {order} LIMIT 1000000"

    overdue = f"SELECT count(*) FROM reservations WHERE {whose} AND state = 'HELD' AND expires_at <= taor_now()"
    return Tables(
        await connection.fetch(of("accounts", "user_id"), tenant_id, user_id),
        await connection.fetch(of("periods", "user_id, starts_at, period"), tenant_id, user_id),
        await connection.fetch(of("reservations", "build_id, epoch, k"), tenant_id, user_id),
        await connection.fetch(of("journal", "user_id, sequence"), tenant_id, user_id),
        await connection.fetchval(overdue, tenant_id, user_id),
    )


def _check_journal(tables: Tables) -> Iterator[str]:
    sums: dict[tuple[str, str], Sums] = defaultdict(Sums)
    last: dict[str, int] = defaultdict(int)
    kinds = {(row["build_id"], row["epoch"], row["k"]): row["kind"] for row in tables.reservations}
    for row in tables.journal:
        user_id, period = row["user_id"], row["period"]
        if row["sequence"] != last[user_id] + 1:
            yield f"B2: the journal of {user_id} has {row['sequence']} after {last[user_id]}"
        last[user_id] = row["sequence"]
        total = sums[user_id, period]
        total.add(row)
        yield from _check_prefix(row, total, kinds)
    for account in tables.accounts:
        if account["journal_sequence"] != last[account["user_id"]]:
            yield f"B2: the journal of {account['user_id']} ends at {last[account['user_id']]}"
    for period in tables.periods:
        counted = sums[period["user_id"], period["period"]].counters
        stands = {name: period[name] or 0 for name in COUNTERS}
        if counted != stands:
            yield f"B2: {period['period']} stands at {stands}, its journal at {counted}"


def _check_prefix(row: Row, total: Sums, kinds: Mapping[tuple[object, int, int], str]) -> Iterator[str]:
    name, counters = f"{row['period']} after entry {row['sequence']}", total.counters
    if min(counters.values()) < 0:
        yield f"B1: {name} is below zero: {counters}"
    if row["period"].startswith("build/"):
        return
    if total.used > counters["limit"] + counters["overrun"]:
        yield f"B1: {name} is over: {counters}"
    is_call = kinds.get((row["build_id"], row["epoch"], row["k"])) == "CALL"
    if (
        row["period"].startswith("day/")
        and row["reserved_delta"] > 0
        and is_call
        and total.used > counters["allowance"]
    ):
        yield f"B1: {name} gave an ordinary call more than the allowance: {counters}"


def _check_reservations(tables: Tables) -> Iterator[str]:
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: {"reserved": 0, "spent": 0, "overrun": 0})
    for row in tables.reservations:
        for period in (row["cycle_period"], row["day_period"], f"build/{row['build_id']}"):
            total = sums[row["user_id"], period]
            total["reserved"] += row["held"] if row["state"] == "HELD" else 0
            total["spent"] += row["booked"]
            total["overrun"] += max(0, row["booked"] - row["held"])
    for period in tables.periods:
        counted = sums[period["user_id"], period["period"]]
        stands = {name: period[name] for name in counted}
        if counted != stands:
            yield f"B3: {period['period']} stands at {stands}, its reservations at {counted}"


def _check_costs(tables: Tables, prices: PriceTable) -> Iterator[str]:
    by_id = {price.price_id: price for price in prices.all()}
    for row in tables.reservations:
        if row["state"] != "SETTLED":
            continue
        usage = row["usage"]
        rates = by_id[row["price_id"]].rates_for(sum(usage.values()) - usage["output_tokens"])
        exact = sum(
            Fraction(tokens * rate, 1_000_000)
            for tokens, rate in zip(
                usage.values(),
                (rates.input, rates.output, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h),
                strict=True,
            )
        )
        if row["booked"] != math.ceil(exact):
            yield f"B8: {row['build_id']}/{row['epoch']}/{row['k']} booked {row['booked']} for {float(exact)}"


def _check_overlaps(periods: Sequence[Row]) -> Iterator[str]:
    ends: dict[tuple[str, str], Row] = {}
    for row in periods:
        if row["starts_at"] is None:
            continue
        key = row["user_id"], row["period"].split("/")[0]
        if key in ends and row["starts_at"] < ends[key]["ends_at"]:
            yield f"B7: {ends[key]['period']} and {row['period']} overlap"
        ends[key] = row
