"""The stream of account versions: complete at first, then every rise, by whichever process; it ends with a drain."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from taor.budget.v1 import budget_pb2 as pb

from taor_budget.changes import AccountChanges, Versions
from taor_budget.store.accounts import AccountStore
from taor_chassis.boundary import error_info
from tests.service.budget.books import TENANT, Books
from tests.service.budget.conftest import Bench, running_bench
from tests.service.budget.process import environment_of, run, served
from tests.support.postgres import MigratedDatabase


async def collect(stream: AsyncIterator[pb.WatchAccountChangesResponse]) -> dict[str, int]:
    """The accounts that are told until the mark."""
    told: dict[str, int] = {}
    async for each in stream:
        told |= {account.user_id: account.version for account in each.accounts}
        if each.complete:
            return told
    raise AssertionError("no mark came")


def watch(bench: Bench) -> AsyncIterator[pb.WatchAccountChangesResponse]:
    """A new stream."""
    return aiter(bench.stub.WatchAccountChanges(pb.WatchAccountChangesRequest(), timeout=30))


def top_up(bench: Bench, request_id: str) -> pb.TopUpRequest:
    """One more dollar."""
    return pb.TopUpRequest(user_id="ada", microdollars=1_000_000, request_id=request_id)


async def test_every_account_is_told_then_each_that_has_more_money(bench: Bench) -> None:
    await bench.admit()
    await bench.stub.CreateAccount(pb.CreateAccountRequest(user_id="bob", tier="partner"))
    stream = watch(bench)
    assert await collect(stream) == {"ada": 1, "bob": 1}
    version = (await bench.stub.TopUp(top_up(bench, "1"))).allowance.account_version
    told = await anext(stream)
    assert [(each.user_id, each.version) for each in told.accounts] == [("ada", version)]
    assert told.tenant_id == "local"


async def test_what_happened_between_two_streams_is_told_by_the_second(bench: Bench) -> None:
    await bench.admit()
    await collect(watch(bench))
    version = (await bench.stub.TopUp(top_up(bench, "1"))).allowance.account_version
    assert await collect(watch(bench)) == {"ada": version}


async def test_a_change_by_another_process_is_told(migrated_database: MigratedDatabase) -> None:
    dsn = migrated_database("taor_budget")
    async with running_bench(dsn, create_accounts=True) as one, running_bench(dsn, create_accounts=True) as other:
        await one.admit()
        stream = watch(one)
        await collect(stream)
        version = (await other.stub.TopUp(top_up(other, "1"))).allowance.account_version
        assert (await anext(stream)).accounts[0].version == version


async def test_the_stream_ends_when_the_service_stops(database: str, tmp_path: Path) -> None:
    environment = environment_of(database, tmp_path)
    assert await run(environment, "migrate") == (0, b"")
    async with served(environment) as (process, bench):
        stream = watch(bench)
        await collect(stream)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(stream)
        info = error_info(caught.value)
        assert info is not None
        assert (caught.value.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert await process.wait() == 0


async def test_many_accounts_come_in_chunks(books: Books) -> None:
    for number in range(5):
        await books.accounts.open(TENANT, f"user-{number}", "small", "UTC")
    stopping = asyncio.Event()
    told: list[Versions] = []
    async for versions in AccountChanges(AccountStore(books.pool), stopping, 0.01, accounts_at_once=2).follow(TENANT):
        told.append(versions)
        if versions.complete:
            stopping.set()
    assert [len(each.accounts) for each in told] == [2, 2, 1, 0]
