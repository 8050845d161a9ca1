"""Connections to PostgreSQL, and what their failures mean to a caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg import exceptions

from taor_chassis.errors import DependencyTimeout, DependencyUnavailable, ServiceError

COMMAND_SECONDS = 35.0  # more than the server's own statement_timeout: it only ends what a dead server left hanging
CLOSE_SECONDS = 5.0

_SETTINGS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    # Plans are made while a table may still be empty, and then kept: never plan to read all of it.
    "enable_seqscan": "off",
    "jit": "off",  # our statements are short; compiling them costs more than running them
}

# The server is away, going, coming back, or full; nothing is known to be wrong with the statement.
_GONE = (
    exceptions.PostgresConnectionError,
    exceptions.AdminShutdownError,
    exceptions.CrashShutdownError,
    exceptions.CannotConnectNowError,
    exceptions.DatabaseDroppedError,
    exceptions.IdleInTransactionSessionTimeoutError,
    exceptions.InsufficientResourcesError,
    ConnectionError,
)


async def open_pool(dsn: str, *, min_size: int = 1, max_size: int = 8) -> asyncpg.Pool:
    """Open a pool of connections; statements are prepared once, and nothing is reset between uses.

    The reset query costs a round trip per use. So no statement may leave session state behind: no SET without
    LOCAL, no session advisory lock, no LISTEN, no cursor outside a transaction.
    Raises DependencyUnavailable when there is no server.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        reset=_keep,
        connect=_connect,
        command_timeout=COMMAND_SECONDS,
        server_settings=_SETTINGS,
    )


async def close_pool(pool: asyncpg.Pool, *, seconds: float = CLOSE_SECONDS) -> None:
    """Close the pool; connections that hang (asyncpg#1356) are cut after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await pool.close()
    except TimeoutError:
        pool.terminate()


@asynccontextmanager
async def running_pool(dsn: str, *, min_size: int = 1, max_size: int = 8) -> AsyncIterator[asyncpg.Pool]:
    """A pool that is open inside the block."""
    pool = await open_pool(dsn, min_size=min_size, max_size=max_size)
    try:
        yield pool
    finally:
        await close_pool(pool)


def refusal(error: Exception) -> ServiceError | None:
    """What a failure of the database means to the caller; None when it is a defect, or not of the database."""
    if isinstance(error, _GONE) or _is_closed(error):
        return DependencyUnavailable("the database cannot be reached; try again")
    if isinstance(error, exceptions.QueryCanceledError):
        return DependencyTimeout("the database did not answer in time; try again")
    return None


def _is_closed(error: Exception) -> bool:
    """Whether a connection was found closed, which asyncpg reports by its class for wrong use."""
    return isinstance(error, exceptions.InterfaceError) and "closed" in str(error)


async def _keep(connection: asyncpg.Connection) -> None:
    """Leave a connection as it is when it returns to the pool."""


async def _connect(*arguments: Any, **options: Any) -> asyncpg.Connection:
    try:
        connection: asyncpg.Connection = await asyncpg.connect(*arguments, **options)
        return connection
    except OSError as error:
        raise DependencyUnavailable(
            f"the database cannot be reached ({error.strerror or 'no answer'}); try again"
        ) from error
