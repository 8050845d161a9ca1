"""Does the same with many things, a bounded number of them at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def side_by_side(
    work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, at_once: int
) -> list[Result]:
    """The results in the order of the items, which are taken only as there is room for them.

    After a failure no further item is begun; it is raised once nothing is under way any more."""
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
