"""Money that comes by the budget's own API wakes the builds that rest for want of it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from taor.budget.v1 import budget_pb2 as pb

from taor_chassis.client import open_channel
from taor_orchestrator.account_watch import AccountWatch
from taor_orchestrator.clients.accounts import AccountsClient, AccountVersions
from taor_orchestrator.store.resting import RestingStore
from tests.contract.dispatch.conftest import Bench
from tests.contract.dispatch.test_dispatch import until
from tests.contract.dispatch.test_waking import put_to_rest
from tests.service.budget.conftest import TOKEN, running_bench
from tests.service.budget.conftest import Bench as Budget
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def budget(migrated_database: MigratedDatabase) -> AsyncIterator[Budget]:
    """A budget service with an account."""
    async with running_bench(migrated_database("taor_budget"), create_accounts=True) as budget:
        await budget.admit()
        yield budget


@asynccontextmanager
async def watching(bench: Bench, address: str) -> AsyncIterator[None]:
    """The watch runs inside the block."""
    stopping = asyncio.Event()
    async with open_channel(address, token=TOKEN) as channel, asyncio.TaskGroup() as beside:
        beside.create_task(AccountWatch(AccountsClient(channel), RestingStore(bench.pool)).run(stopping))
        yield
        stopping.set()


async def top_up(budget: Budget) -> int:
    """A dollar more; the version of the account after it."""
    request = pb.TopUpRequest(user_id="ada", microdollars=1_000_000, request_id="top-up")
    return (await budget.stub.TopUp(request)).allowance.account_version


async def test_a_top_up_wakes_who_was_denied_before_it(bench: Bench, budget: Budget) -> None:
    unfunded = await put_to_rest(bench, "local", "ada", 3600, denied_version=9)
    build = await put_to_rest(bench, "local", "ada", 3600, denied_version=1)
    async with watching(bench, budget.address):
        await top_up(budget)
        await until(lambda: _is(bench, build, "QUEUED"))
    assert await bench.state(unfunded) == "SLEEPING"


async def test_who_rests_after_the_money_has_come_is_woken_too(bench: Bench, budget: Budget) -> None:
    version = await top_up(budget)
    async with watching(bench, budget.address):
        first = await put_to_rest(bench, "local", "ada", 3600, denied_version=version - 1)
        await until(lambda: _is(bench, first, "QUEUED"))  # so the version is known
        second = await put_to_rest(bench, "local", "ada", 3600, denied_version=version - 1)
        await until(lambda: _is(bench, second, "QUEUED"))


async def test_a_budget_that_was_away_is_followed_again(bench: Bench, migrated_database: MigratedDatabase) -> None:
    dsn = migrated_database("taor_budget")
    with tempfile.TemporaryDirectory(prefix="taor-budget-") as folder:
        address = f"unix:{folder}/socket"  # of a port, nobody knows who has it meanwhile
        async with running_bench(dsn, create_accounts=True, listen=address) as gone:
            await gone.admit()
        build = await put_to_rest(bench, "local", "ada", 3600, denied_version=1)
        async with watching(bench, address), running_bench(dsn, create_accounts=True, listen=address) as back:
            await top_up(back)
            await until(lambda: _is(bench, build, "QUEUED"))


async def test_a_stop_in_the_moment_of_a_change_ends_the_watch(bench: Bench) -> None:
    stopping = asyncio.Event()

    class LastWords:
        async def changes(self) -> AsyncIterator[AccountVersions]:
            await asyncio.sleep(0)  # so that the watch waits already
            yield AccountVersions("local", {"ada": 2})
            stopping.set()

    async with asyncio.timeout(30):
        await AccountWatch(LastWords(), RestingStore(bench.pool)).run(stopping)


async def _is(bench: Bench, build: str, state: str) -> bool:
    return await bench.state(build) == state
