"""A freeze on a lease: E2B goes on running what a dead service has started, so a freeze must end by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taor_sandbox.backends.e2b.bridge import Bridge
from taor_sandbox.backends.e2b.channel import Channel
from taor_sandbox.backends.e2b.inside.hold import STILL_HERE, THAW
from taor_sandbox.backends.e2b.inside.requests import Hold

LEASE_SECONDS = 20.0
_RENEWALS_PER_LEASE = 4


@asynccontextmanager
async def frozen(channel: Channel) -> AsyncIterator[None]:
    """Freeze inside the block. Raises SandboxFrozen when somebody else holds it.

    Leaving raises SandboxUnreachable when the freeze did not hold to the end: what was walked may have moved."""
    async with channel.opened(Hold(LEASE_SECONDS), stdin=True) as bridge:
        await bridge.next()
        renewing = asyncio.create_task(_renew(bridge))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
        await bridge.send(THAW)
        await bridge.only()


async def _renew(bridge: Bridge) -> None:
    while True:
        await asyncio.sleep(LEASE_SECONDS / _RENEWALS_PER_LEASE)
        await bridge.send(STILL_HERE)
