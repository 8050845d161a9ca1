"""Hints of the database that something is to be done now: they make things fast, never right."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import asyncpg

CHANNEL = "taor_builds"
RELISTEN_SECONDS = 1.0

_log = logging.getLogger(__name__)


async def listen(dsn: str, on_due: Callable[[], None], on_build: Callable[[str, str], None]) -> None:
    """Listen on one connection of our own until cancelled: to what is due, and to `on_build(verb, build_id)`."""
    while True:
        try:
            await _listen_once(dsn, on_due, on_build)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("the hints of the database are away", extra={"why": str(error)})
        await asyncio.sleep(RELISTEN_SECONDS)


async def _listen_once(dsn: str, on_due: Callable[[], None], on_build: Callable[[str, str], None]) -> None:
    lost = asyncio.Event()

    def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        verb, _, build_id = str(payload).partition(":")
        if build_id:
            on_build(verb, build_id)
        else:
            on_due()

    connection = await asyncpg.connect(dsn)
    try:
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(CHANNEL, heard)
        on_due()  # what came before we listened
        await lost.wait()
    finally:
        connection.terminate()
