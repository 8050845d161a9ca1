"""Calls that wait share the next commit, and nothing else: not their refusals, not their failures, not their ends."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from taor_budget.errors import ReservationNotFound
from taor_budget.pricing import Usage
from taor_budget.reservations import Cause, Closing, Denial, Grant, State, Turn
from taor_budget.store.accounts import Binding
from taor_budget.store.turns import MOST_TOGETHER
from taor_chassis.database import refusal
from tests.service.budget.books import TENANT, Books

USAGE = Usage(100, 20)
LOCK = "SELECT FROM accounts WHERE tenant_id = $1 AND user_id = $2 FOR NO KEY UPDATE"
COMMITS = "SELECT count(DISTINCT xmin::text) FROM reservations"
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE wait_event_type = 'Lock' AND datname = current_database()"""

Answer: TypeAlias = Turn | Closing


@asynccontextmanager
async def locked(books: Books, *users: str) -> AsyncIterator[None]:
    """Nobody else's turn of these accounts goes on inside the block."""
    async with books.pool.acquire() as connection, connection.transaction():
        for user in users:
            await connection.execute(LOCK, TENANT, user)
        yield


@asynccontextmanager
async def queued(books: Books, *calls: Coroutine[Any, Any, Answer]) -> AsyncIterator[list["asyncio.Task[Any]"]]:
    """These calls wait inside the block, behind one of the user's account whose commit is under way."""
    before = await books.build()
    async with locked(books, "user"):
        first = asyncio.ensure_future(books.reserve(before, 0, least=1, most=1))
        assert await books.waits(first)
        waiting = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0)  # each has begun
        yield waiting
    await first


async def together(books: Books, *calls: Coroutine[Any, Any, Answer]) -> list[Answer | BaseException]:
    """Let these calls share a commit."""
    async with queued(books, *calls) as waiting:
        pass
    return await asyncio.gather(*waiting, return_exceptions=True)


async def known(books: Books, user: str) -> Binding:
    """A build of a user whose day is known, so that its calls are queued as soon as they begin."""
    build = await books.build(user)
    await books.ledger.standing(build)
    return build


async def held(books: Books, k: int = 0) -> Binding:
    """A build with a small hold."""
    build = await books.build()
    await books.hold(build, k, least=1, most=20)
    return build


async def test_what_waits_for_an_account_shares_the_next_commit(books: Books) -> None:
    builds = [await books.build() for _ in range(5)]
    turns = await together(books, *(books.reserve(build, 0, least=1, most=1) for build in builds))
    assert all(isinstance(turn, Turn) and isinstance(turn.outcome, Grant) for turn in turns)
    assert await books.pool.fetchval(COMMITS) == 2


async def test_a_commit_takes_no_more_than_it_may(books: Books) -> None:
    builds = [await books.build() for _ in range(MOST_TOGETHER + 1)]
    await together(books, *(books.reserve(build, 0, least=1, most=1, prompt=1) for build in builds))
    assert await books.pool.fetchval(COMMITS) == 3


async def test_each_gets_its_own_answer(books: Books) -> None:
    """Of different users, whose accounts are taken in another order than the calls came in."""
    builds = [await known(books, user) for user in ("c", "a", "b")]
    small = in_one_lane(books)
    calls = (small.reserve(build, 0, most=100 + number) for number, build in enumerate(builds))
    turns = await together(small, *calls)
    granted = [turn.outcome for turn in turns if isinstance(turn, Turn) and isinstance(turn.outcome, Grant)]
    assert [grant.held_microdollars for grant in granted] == [600, 605, 610]
    assert await books.pool.fetchval(COMMITS) == 2


async def test_a_denial_and_a_refusal_are_for_their_caller_alone(books: Books) -> None:
    held_build, other, poor = await held(books), await books.build(), await books.build()
    settled, refused, denied, granted = await together(
        books,
        books.settle(held_build, 0, USAGE),
        books.settle(other, 7, USAGE),
        books.reserve(poor, 0, least=5000, most=5000),
        books.reserve(other, 0, least=1, most=1),
    )
    assert isinstance(settled, Closing)
    assert settled.state is State.SETTLED
    assert isinstance(refused, ReservationNotFound)
    assert isinstance(denied, Turn)
    assert isinstance(denied.outcome, Denial)
    assert denied.outcome.cause is Cause.LIMIT
    assert isinstance(granted, Turn)
    assert isinstance(granted.outcome, Grant)


async def test_a_failure_is_for_its_caller_alone(books: Books) -> None:
    broken, whole = await held(books), await held(books)
    await books.pool.execute("UPDATE reservations SET price_id = 'gone' WHERE build_id = $1", broken.build_id)
    failed, settled, granted = await together(
        books,
        books.settle(broken, 0, USAGE),
        books.settle(whole, 0, USAGE),
        books.reserve(whole, 1, least=1, most=1),
    )
    assert isinstance(failed, asyncpg.RaiseError)
    assert settled == Closing(State.SETTLED, 200, 0, changed=True)
    assert isinstance(granted, Turn)
    assert await books.state(broken, 0) is State.HELD
    await books.release(broken, 0)


async def test_copies_in_one_commit_count_once(books: Books) -> None:
    settled, reserved = await held(books), await books.build()
    *closings, one, two = await together(
        books,
        books.settle(settled, 0, USAGE),
        books.settle(settled, 0, USAGE),
        books.reserve(reserved, 0, least=1, most=20),
        books.reserve(reserved, 0, least=1, most=20),
    )
    assert [closing.changed for closing in closings if isinstance(closing, Closing)] == [True, False]
    assert isinstance(one, Turn)
    assert isinstance(two, Turn)
    assert one.allowance == two.allowance
    assert await books.pool.fetchval("SELECT spent FROM periods WHERE period = 'day/2026-11-25'") == 200


async def test_who_goes_while_waiting_holds_nothing(books: Books) -> None:
    builds = [await books.build() for _ in range(2)]
    async with queued(books, *(books.reserve(build, 0, least=1, most=1) for build in builds)) as (leaving, staying):
        leaving.cancel()
        await asyncio.wait([leaving])
    assert isinstance((await staying).outcome, Grant)
    assert await books.store.reservations(TENANT, builds[0].build_id, (0, 0), 1) == ()


async def test_who_goes_while_under_way_takes_nobody_along(books: Books) -> None:
    """What is sent is done, whether its caller is there or not."""
    builds = [await known(books, "a"), await known(books, "b")]
    small = in_one_lane(books)
    async with locked(books, "b"):
        async with queued(small, *(small.reserve(build, 0) for build in builds)) as (leaving, staying):
            pass
        assert await books.waits(staying)
        leaving.cancel()
        await asyncio.wait([leaving])
    assert isinstance((await staying).outcome, Grant)
    assert await books.state(builds[0], 0) is State.HELD


async def test_an_unknown_outcome_is_told_to_all_and_tried_by_nobody(books: Books) -> None:
    builds = [await known(books, "a"), await known(books, "b")]
    small = in_one_lane(books)
    async with locked(books, "b"):
        async with queued(small, *(small.reserve(build, 0) for build in builds)) as waiting:
            pass
        assert await books.waits(waiting[1])
        await books.pool.execute(KILL)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, Exception) and refusal(each) for each in outcomes)
    assert await books.pool.fetchval("SELECT count(*) FROM reservations WHERE user_id <> 'user'") == 0
    for build in builds:
        assert isinstance((await small.reserve(build, 0)).outcome, Grant)


async def test_a_call_of_another_account_waits_for_nobody(books: Books) -> None:
    mine, other = await books.build(), await known(books, "other")
    async with locked(books, "user"):
        waiting = asyncio.ensure_future(books.reserve(mine, 0))
        assert await books.waits(waiting)
        assert isinstance((await books.reserve(other, 0)).outcome, Grant)
    await waiting


async def test_accounts_are_locked_in_the_order_of_their_names(books: Books) -> None:
    """While the first is taken by somebody else, no other is: two commits never wait for each other in a circle."""
    builds = [await known(books, "b"), await known(books, "a")]
    small = in_one_lane(books)
    async with locked(books, "a"):
        async with queued(small, *(small.reserve(build, 0) for build in builds)) as waiting:
            pass
        assert await books.waits(waiting[0])
        await books.pool.execute(f"{LOCK} NOWAIT", TENANT, "b")
    await asyncio.wait(waiting)


def in_one_lane(books: Books) -> Books:
    """The ledger in a process that makes one commit at a time, so that different accounts share them too."""
    return books.beside(lanes=1)
