"""A pool on a real PostgreSQL: cheap uses, and outages that callers can understand."""

import asyncio

import asyncpg
import grpc
import pytest

from taor_chassis.boundary import error_info
from taor_chassis.database import close_pool, open_pool, refusal, running_pool
from taor_chassis.errors import DependencyUnavailable
from taor_chassis.guard import Context
from tests.service.chassis.probe import failure, probing, registration


async def test_a_use_of_the_pool_sends_the_statement_and_nothing_else(database: str) -> None:
    async with running_pool(database, max_size=1) as pool:
        for _ in range(3):
            assert await pool.fetchval("SELECT 1") == 1
        statements = "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        watcher = await asyncpg.connect(database)
        # A reset would be the last statement that the connection has seen.
        assert await watcher.fetchval(statements) == "SELECT 1"
        await watcher.close()


async def test_statements_of_a_pool_are_bounded_in_time(database: str) -> None:
    async with running_pool(database, max_size=1) as pool:
        assert await pool.fetchval("SHOW statement_timeout") == "30s"
        assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DependencyUnavailable):
        await open_pool("postgresql://nobody@127.0.0.1:9/none", min_size=1)


async def test_connections_cut_by_the_server_are_an_outage_and_the_pool_recovers(database: str) -> None:
    async with running_pool(database, min_size=2, max_size=2) as pool:
        async with pool.acquire() as connection:
            with pytest.raises(asyncpg.PostgresError) as caught:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        refused = refusal(caught.value)
        assert refused is not None
        assert refused.reason == "DEPENDENCY_UNAVAILABLE"
        assert await asyncio.gather(*(pool.fetchval("SELECT 1") for _ in range(4))) == [1, 1, 1, 1]


async def test_a_client_is_told_that_a_statement_took_too_long(database: str) -> None:
    async with running_pool(database, max_size=1) as pool:

        async def work(request: bytes, context: Context) -> bytes:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL statement_timeout = '50ms'")
                await connection.execute("SELECT pg_sleep(5)")
            return b""

        async with probing(registration(unary=work)) as probe:
            error = await failure(probe.unary(b""))
    info = error_info(error)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert info is not None
    assert info.reason == "DEPENDENCY_TIMEOUT"


async def test_a_call_whose_client_went_away_cancels_its_statement(database: str) -> None:
    async with running_pool(database, max_size=1) as pool:

        async def work(request: bytes, context: Context) -> bytes:
            await pool.execute("SELECT pg_sleep(60)")
            return b""

        async with probing(registration(unary=work)) as probe:
            await failure(probe.unary(b"", timeout=0.3))
            # The only connection is free again long before the statement would have ended.
            async with asyncio.timeout(50):
                assert await pool.fetchval("SELECT 1") == 1


async def test_a_pool_with_a_busy_connection_closes_within_its_bound(database: str) -> None:
    pool = await open_pool(database, max_size=1)
    await pool.acquire()
    async with asyncio.timeout(50):
        await close_pool(pool, seconds=0.2)
