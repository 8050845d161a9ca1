"""Random losses, snapshots, restarts and takeovers between tool calls: the files end as if nothing had happened."""

import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tests.service.sandbox.harness import Harness

CALLS = 25


@pytest.mark.parametrize("seed", range(2))
async def test_the_files_end_as_if_nothing_had_happened(harness: Harness, seed: int) -> None:
    chance = random.Random(seed)
    faults: list[Callable[[], Awaitable[object]]] = [harness.lose_sandbox, harness.restart, _nothing]
    await harness.attach()
    for number in range(1, CALLS + 1):
        if chance.random() < 0.3:
            await harness.until_attached(harness.snapshot)
        if chance.random() < 0.2:
            await chance.choice(faults)()
            harness.take_over()
            await harness.attach(tail_sequence=number)
        result = await harness.until_attached(partial(_call, harness, number))
        assert result == f"{number}\n"
    log = (await harness.bash(CALLS + 1, "cat log; cat copy | wc -l")).text.split()
    assert log == [str(number) for number in range(1, CALLS + 1)] + [str(CALLS)]
    for operation in await harness.operations():
        assert operation.claims <= 1


async def _call(harness: Harness, number: int) -> str:
    """Append a number; running it twice, or not at all, would show."""
    command = f"echo {number} >> log; cat log > copy; tail -n 1 log"
    return (await harness.bash(number, command)).text


async def _nothing() -> None:
    """A takeover alone."""
