"""No hold outlives its life: what may have been sent is charged, what never was is released."""

import asyncio
from datetime import timedelta

from taor_budget.expiry import expire_due, keep_expiring
from taor_budget.pricing import Usage
from taor_budget.reservations import Closing, Kind, State
from tests.service.budget.books import MIDNIGHT, Books

LATER = timedelta(minutes=31)


async def test_due_holds_are_charged_and_earmarks_released(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.hold(build, 1, kind=Kind.EARMARK)
    assert await expire_due(books.store) == 0
    await books.pass_time(LATER)
    assert await expire_due(books.store) == 2
    assert await books.state(build, 0) is State.EXPIRED
    assert await books.state(build, 1) is State.RELEASED
    allowance = await books.ledger.allowance(build.tenant_id, build.user_id)
    assert (allowance.spent_microdollars, allowance.reserved_microdollars) == (600, 0)
    assert await expire_due(books.store) == 0


async def test_accounts_expire_one_after_the_other(books: Books) -> None:
    for user_id in ("ada", "bob", "cyd"):
        await books.hold(await books.build(user_id), 0)
    await books.pass_time(LATER)
    assert await books.store.expire_one_account() == 1
    assert await expire_due(books.store) == 2


async def test_midnight_releases_an_earmark(books: Books) -> None:
    build = await books.build()
    await books.set_clock(MIDNIGHT - timedelta(minutes=5))
    grant = await books.hold(build, 0, kind=Kind.EARMARK)
    assert grant.life_seconds <= 300
    await books.hold(build, 1)
    await books.set_clock(MIDNIGHT)
    assert await expire_due(books.store) == 1
    assert await books.state(build, 0) is State.RELEASED
    assert await books.state(build, 1) is State.HELD


async def test_a_hold_that_is_due_expires_before_anything_else_is_done_with_it(books: Books) -> None:
    build = await books.build()
    for k in range(3):
        await books.hold(build, k, least=1, most=40)
    await books.pass_time(LATER)
    assert await books.release(build, 0) == Closing(State.EXPIRED, 300, 0, changed=False)
    assert await books.charge(build, 1) == Closing(State.EXPIRED, 300, 0, changed=False)
    assert await books.settle(build, 2, Usage(100, 0)) == Closing(State.SETTLED, 100, 0, changed=True)


async def test_an_account_that_somebody_works_on_is_left_for_the_next_look(books: Books) -> None:
    ada, bob = await books.build("ada"), await books.build("bob")
    await books.hold(ada, 0)
    await books.hold(bob, 0)
    await books.pass_time(LATER)
    async with books.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM accounts WHERE user_id = 'ada' FOR UPDATE")
        expiring = asyncio.create_task(expire_due(books.store))
        waits = await books.waits(expiring)
    assert not waits
    assert await expiring == 1
    assert await expire_due(books.store) == 1


async def test_the_loop_looks_again_and_ends_with_the_service(books: Books) -> None:
    stopping = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_expiring(books.store, 0.01, stopping))
        build = await books.build()
        await books.hold(build, 0)
        await books.pass_time(LATER)
        for _ in range(3000):
            if await books.state(build, 0) is State.EXPIRED:
                break
            await asyncio.sleep(0.01)
        stopping.set()
    assert await books.state(build, 0) is State.EXPIRED
