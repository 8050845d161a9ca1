"""A take-over finishes what the worker before has left unfinished."""

import asyncio

import pytest

from taor_orchestrator.build import Claim, Ended
from taor_orchestrator.history import EntryKind
from taor_orchestrator.loop import run
from taor_orchestrator.money import Need, Reserved, Settlement
from tests.unit.orchestrator.world import SCRIPT, Killed, Switch, World

MOST_STEPS = 1000


async def test_an_answer_that_is_logged_and_not_settled_is_settled_by_the_next_worker() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())

    async def killed_once_it_is_logged(claim: Claim, settlement: Settlement, need: Need) -> Reserved:
        for _ in range(MOST_STEPS):
            if world.log and world.log[-1].kind is EntryKind.ASSISTANT:
                raise Killed
            await asyncio.sleep(0)
        raise AssertionError("the answer was never logged")

    ports.budget.advance = killed_once_it_is_logged  # type: ignore[method-assign] # the moment is what matters
    with pytest.raises(Killed):
        await run(world.claim(), ports)
    assert world.states() == ["HELD"]
    assert isinstance(await run(world.claim(), world.ports(Switch())), Ended)
    assert world.states() == ["SETTLED"] * 4 + ["RELEASED"]
