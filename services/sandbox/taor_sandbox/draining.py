"""Ends long streams when the service stops: whoever follows a command only detaches, and asks again."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from taor_sandbox.errors import SandboxUnavailable

Item = TypeVar("Item")


async def until(stopping: asyncio.Event, source: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Yield what the source yields; raises SandboxUnavailable once the service stops."""
    stop = asyncio.ensure_future(stopping.wait())
    step: asyncio.Future[Item] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(source))
            await asyncio.wait({step, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                raise SandboxUnavailable("the service is being restarted; the command goes on, send the call again")
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        stop.cancel()
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
