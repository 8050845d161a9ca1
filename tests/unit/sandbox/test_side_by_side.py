"""Many things at once, but not too many."""

import asyncio

import pytest

from taor_sandbox.side_by_side import side_by_side


async def test_results_come_in_order_and_few_are_under_way() -> None:
    under_way, most = 0, 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(number % 3):
            await asyncio.sleep(0)
        under_way -= 1
        return number * 2

    assert await side_by_side(work, iter(range(20)), at_once=4) == [number * 2 for number in range(20)]
    assert most == 4


async def test_after_a_failure_nothing_new_begins() -> None:
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 1:
            raise ValueError("the second one")

    with pytest.raises(ValueError, match="the second one"):
        await side_by_side(work, range(100), at_once=2)
    assert len(begun) <= 4
