"""A freeze on a lease: E2B goes on running what a dead service has started, so a freeze must end by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from taor_sandbox.backends.e2b.bridge import Bridge
from taor_sandbox.backends.e2b.channel import Channel
from taor_sandbox.backends.e2b.inside.hold import STILL_HERE, THAW
from taor_sandbox.backends.e2b.inside.requests import Hold
from taor_sandbox.backends.e2b.troubles import patiently
from taor_sandbox.backends.errors import BackendError

_RENEWALS_PER_LEASE = 4


@contextlib.asynccontextmanager
async def frozen(channel: Channel, lease_seconds: float) -> AsyncIterator[None]:
    """Freeze inside the block. Raises SandboxFrozen when somebody else holds it.

    Leaving raises SandboxUnreachable when the freeze did not hold to the end: what was walked may have moved."""
    async with channel.opened(Hold(lease_seconds), stdin=True) as bridge:
        await bridge.next()
        renewing = asyncio.create_task(_renew(bridge, lease_seconds))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
        await bridge.send(THAW)
        await bridge.only()


async def _renew(bridge: Bridge, lease_seconds: float) -> None:
    """Renew until cancelled; when that fails for long, whoever thaws hears of it."""
    with contextlib.suppress(BackendError):
        while True:
            await asyncio.sleep(lease_seconds / _RENEWALS_PER_LEASE)
            await patiently(lambda: bridge.send(STILL_HERE))
