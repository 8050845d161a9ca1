"""Waiting for several things at once, so that a failure of one ends the others before it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The event came before the work was done; the work was cancelled and has ended."""


async def together(*parts: Coroutine[object, object, T]) -> list[T]:
    """Run all parts side by side; if one fails, cancel the others, wait for their end, and raise its error."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _end(*tasks)


async def unless(event: asyncio.Event, work: Coroutine[object, object, T]) -> T:
    """The result of `work`, unless `event` is set before it is there: then cancel it and raise `Interrupted`."""
    task, signal = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, signal}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Interrupted
    finally:
        await _end(task, signal)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    open_tasks = [task for task in tasks if not task.done()]
    for task in open_tasks:
        task.cancel()
    if open_tasks:
        await asyncio.wait(open_tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # one error is told; the others must not be reported as forgotten
