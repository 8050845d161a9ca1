"""After a start of this service: takes the sandboxes that run in hand again, before they end for want of an owner."""

import asyncio
import logging

from taor_sandbox.errors import StaleGeneration
from taor_sandbox.records import Build
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.builds import Builds

_PAGE = 200
_AT_ONCE = 8
_MOST_TENANTS = 10_000

_log = logging.getLogger(__name__)


async def adopt(builds: Builds, sessions: Sessions) -> None:
    """Dial every sandbox that is believed to run; what does not answer is left to the next Attach."""
    gate = asyncio.Semaphore(_AT_ONCE)
    for tenant_id in await builds.tenants(_MOST_TENANTS):
        after = ""
        while page := await builds.running(tenant_id, after, _PAGE):
            await asyncio.gather(*(_adopt(build, sessions, gate) for build in page))
            after = page[-1].key.build_id


async def _adopt(build: Build, sessions: Sessions, gate: asyncio.Semaphore) -> None:
    async with gate:
        try:
            await sessions.sandbox(build)
        except StaleGeneration as error:
            _log.warning("a sandbox is gone", exc_info=error, extra={"build_id": build.key.build_id})
