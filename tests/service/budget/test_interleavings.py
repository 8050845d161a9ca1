"""Two connections in an order fixed by hand: whoever comes second waits, and then sees what the first has done."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from taor_budget.errors import StaleEpoch
from taor_budget.pricing import Usage
from taor_budget.reservations import Cause, Closing, Denial, Grant, Rid, Settlement, State
from taor_budget.store.accounts import Binding
from tests.service.budget.books import MIDNIGHT, TENANT, Books, need

Result = TypeVar("Result")
USAGE = Usage(100, 20)
ATTACH = "SELECT attached FROM ledger_attach($1, 'user', $2, $3, 'another')"
RELEASE = "SELECT highest_epoch FROM ledger_end($1, 'user', $2, 1, 1, $3, 'RELEASED', 'never_sent')"
EXPIRE = "SELECT ledger_expire_one_account()"


@asynccontextmanager
async def first(books: Books, statement: str, *arguments: object) -> AsyncIterator[None]:
    """A transaction that has executed the statement and commits at the end of the block."""
    async with books.pool.acquire() as connection, connection.transaction():
        await connection.execute(statement, *arguments)
        yield


async def second(books: Books, call: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
    """Start a call and return when it waits for a lock."""
    task = asyncio.create_task(call)
    assert await books.waits(task), "the second did not wait for the first"
    return task


async def test_a_fence_that_rises_meanwhile_stops_a_reserve(books: Books) -> None:
    build = await books.build()
    async with first(books, ATTACH, TENANT, build.build_id, 2):
        reserving = await second(books, books.reserve(build, 0))
    with pytest.raises(StaleEpoch):
        await reserving


async def test_a_fence_that_rises_meanwhile_stops_half_an_advance(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    settlement = Settlement(Rid(build.build_id, 1, 0), USAGE)
    async with first(books, ATTACH, TENANT, build.build_id, 2):
        advancing = await second(books, books.ledger.advance(build, 1, settlement, need(build, 1)))
    turn = await advancing
    assert turn.closing == Closing(State.SETTLED, 200, 0, changed=True)
    assert isinstance(turn.outcome, Denial)
    assert turn.outcome.cause is Cause.STALE


async def test_a_release_that_overtakes_leaves_nothing_to_reserve(books: Books) -> None:
    build = await books.build()
    async with first(books, RELEASE, TENANT, build.build_id, 0):
        reserving = await second(books, books.reserve(build, 0))
    outcome = (await reserving).outcome
    assert isinstance(outcome, Denial)
    assert outcome.cause is Cause.STALE


async def test_two_settlements_of_one_call_book_once(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    closings = await asyncio.gather(*(books.beside().settle(build, 0, USAGE) for _ in range(6)))
    assert sorted(closing.changed for closing in closings) == [False] * 5 + [True]


async def test_a_settlement_corrects_an_expiry_that_came_first(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.pass_time(timedelta(minutes=31))
    async with first(books, EXPIRE):
        settling = await second(books, books.settle(build, 0, USAGE))
    assert await settling == Closing(State.SETTLED, 200, 0, changed=True)


async def test_the_last_money_is_given_once(books: Books) -> None:
    builds = [await books.build() for _ in range(8)]
    turns = await asyncio.gather(*(books.beside().reserve(build, 0, least=100, most=100) for build in builds))
    assert sorted(type(turn.outcome).__name__ for turn in turns) == ["Denial"] * 5 + ["Grant"] * 3


async def test_copies_of_one_reserve_hold_once(books: Books) -> None:
    build = await books.build()
    turns = await asyncio.gather(*(books.beside().reserve(build, 0) for _ in range(6)))
    assert all(isinstance(turn.outcome, Grant) for turn in turns)
    assert turns[-1].allowance.reserved_microdollars == 600


async def test_many_builds_cross_midnight_together(books: Books) -> None:
    """Holds of both days are closed while the new day is opened: nobody waits for anybody in a circle."""
    builds = [await books.build() for _ in range(8)]
    await books.set_clock(MIDNIGHT - timedelta(minutes=1))
    for build in builds:
        await books.hold(build, 0, least=1, most=20)
    await books.set_clock(MIDNIGHT)
    await asyncio.gather(*(work_over_midnight(books.beside(), build) for build in builds))
    assert await books.pool.fetchval("SELECT count(*) FROM periods WHERE period = 'day/2026-11-26'") == 1


async def work_over_midnight(books: Books, build: Binding) -> None:
    """Settle a call of yesterday, make one of today."""
    settlement = Settlement(Rid(build.build_id, 1, 0), Usage(100, 1))
    turn = await books.ledger.advance(build, 1, settlement, need(build, 1, least=1, most=1))
    assert isinstance(turn.outcome, Grant)
    await books.settle(build, 1, Usage(100, 1))
