"""The probe as a whole service of its own: `python -m tests.service.chassis.probe_service serve`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from taor_chassis.config import field
from taor_chassis.guard import Context
from taor_chassis.main import run
from taor_chassis.server import Registration
from tests.service.chassis.probe import registration

_log = logging.getLogger("probe")


@dataclass(frozen=True, slots=True)
class Config:
    listen: str = field(env="TAOR_PROBE_LISTEN", help="where to serve")
    token: str = field(env="TAOR_TOKEN", help="the bearer token")
    dsn: str = field(env="TAOR_PROBE_DSN", help="the database", default="")


@asynccontextmanager
async def app(config: Config, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """Sleeps, ticks until the drain, and has a background loop that a call can make fail."""
    poisoned = asyncio.Event()

    async def sleep(request: bytes, context: Context) -> bytes:
        if request == b"poison":
            poisoned.set()
        else:
            _log.info("sleeping")
            await asyncio.sleep(float(request.decode()))  # the work of this service
        return request

    async def tick(request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield b"tick"
        await stopping.wait()
        yield b"bye"

    async def background() -> None:
        await poisoned.wait()
        raise LookupError("the background loop met something")

    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(background())
        yield [registration(unary=sleep, server_stream=tick)]
        loop.cancel()
    _log.info("parts closed")


if __name__ == "__main__":
    raise SystemExit(run("probe", Config, app))
