"""Takes the time of something that is done many times."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable

Step = Callable[[int], Awaitable[object]]


async def milliseconds_of(step: Step, numbers: Iterable[int]) -> list[float]:
    """Do a step for each number, one after another; how long each took."""
    taken = []
    for number in numbers:
        began = time.perf_counter()
        await step(number)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


async def per_second(workers: Iterable[tuple[Step, int]]) -> float:
    """Let all workers do their step so many times, side by side; how many steps that were in a second."""
    everyone = list(workers)

    async def work(step: Step, times: int) -> None:
        for number in range(times):
            await step(number)

    began = time.perf_counter()
    await asyncio.gather(*(work(step, times) for step, times in everyone))
    return sum(times for _, times in everyone) / (time.perf_counter() - began)


def p50(taken: list[float]) -> float:
    """The middle one."""
    return statistics.median(taken)
