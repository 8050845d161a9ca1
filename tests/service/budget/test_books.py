"""The tables themselves: what they refuse whoever writes, what is not done without a price, what is indexed."""

import asyncpg
import pytest

from taor_budget.errors import ModelUnknown
from taor_budget.ledger import Ledger
from taor_budget.pricing import PriceTable, Usage
from taor_budget.reservations import Rid, Settlement, State
from tests.service.budget.books import LIFE, TENANT, Books, need


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET spent_delta = 0",
        "DELETE FROM journal",
        "TRUNCATE journal",
    ],
)
async def test_the_journal_is_append_only(books: Books, statement: str) -> None:
    await books.hold(await books.build(), 0)
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await books.pool.execute(statement)


@pytest.mark.parametrize("counter", ["spent", "reserved"])
async def test_no_period_can_be_over_its_limit(books: Books, counter: str) -> None:
    await books.ledger.allowance(TENANT, (await books.build()).user_id)
    with pytest.raises(asyncpg.CheckViolationError, match="never_over"):
        await books.pool.execute(f"UPDATE periods SET {counter} = \"limit\" + 1 WHERE period LIKE 'day/%'")


async def test_without_a_price_nothing_is_set_aside_and_nothing_settled(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    unpriced = Ledger(books.store, books.accounts, PriceTable([]), LIFE)
    with pytest.raises(ModelUnknown):
        await unpriced.reserve(build, 1, need(build, 1))
    with pytest.raises(asyncpg.RaiseError, match="not in the price table"):
        await unpriced.settle(build, Settlement(Rid(build.build_id, 1, 0), Usage(1, 1)))
    assert await books.state(build, 0) is State.HELD
    assert (await books.ledger.allowance(TENANT, build.user_id)).reserved_microdollars == 600


async def test_an_unknown_account_is_an_error_of_the_ledger(books: Books) -> None:
    build = await books.build()
    with pytest.raises(asyncpg.NoDataFoundError):
        await books.store.attach("another tenant", build.user_id, build.build_id, 2, "owner")


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT 1 FROM reservations WHERE tenant_id = 't' AND build_id = gen_random_uuid() AND epoch = 1",
            "pkey",
        ),
        ("SELECT 1 FROM reservations WHERE state = 'HELD' AND expires_at <= taor_now() ORDER BY expires_at", "_due"),
        ("SELECT 1 FROM periods WHERE tenant_id = 't' AND user_id = 'u' AND period = ANY ('{a,b,c}'::text[])", "pkey"),
        ("SELECT 1 FROM journal WHERE tenant_id = 't' AND user_id = 'u' AND sequence > 1 ORDER BY sequence", "pkey"),
    ],
)
async def test_hot_lookups_can_use_an_index(books: Books, statement: str, index: str) -> None:
    """The planner prefers a scan while the tables are small; with scans ruled out it must find the index."""
    async with books.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}"))
    assert f"{index} on" in plan
    assert "Index Cond" in plan
    assert "Sort" not in plan
