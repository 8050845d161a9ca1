"""Does several things at the same time; a failure is raised once nothing is under way any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Other = TypeVar("Other")


async def both(one: Awaitable[Result], other: Awaitable[Other]) -> tuple[Result, Other]:
    """Two different things at the same time."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second


@asynccontextmanager
async def begun(work: Coroutine[Any, Any, Result]) -> AsyncIterator["asyncio.Task[Result]"]:
    """Work that goes on beside the block; what is not awaited there is ended, and its failure is nobody's."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def side_by_side(
    work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, at_once: int
) -> list[Result]:
    """The same with many things: the results in the order of the items, which are taken only as there is room for them.

    After a failure no further item is begun."""
    waiting = enumerate(items)
    results: dict[int, Result] = {}
    failed: list[BaseException] = []

    async def worker() -> None:
        for number, item in waiting:
            try:
                results[number] = await work(item)
            except BaseException as error:  # told to the others, then raised
                failed.append(error)
                raise
            if failed:
                return

    await asyncio.gather(*(worker() for _ in range(at_once)), return_exceptions=True)
    if failed:
        raise failed[0]
    return [results[number] for number in sorted(results)]
