"""A take-over finishes what the worker before has left unfinished."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from taor_orchestrator.build import BuildState, Claim, Ended, Outcome
from taor_orchestrator.closing import GIVEN_UP
from taor_orchestrator.history import Entry, EntryKind
from taor_orchestrator.loop import GAVE_UP, MAX_FRUITLESS_CLAIMS, run
from taor_orchestrator.money import Need, Reserved, Settlement
from taor_orchestrator.ports import DependencyDown, Holds, NothingBegun
from taor_orchestrator.toolset import ToolInput
from taor_orchestrator.transcript import ToolAnswer, tool_results
from tests.unit.orchestrator.world import SCRIPT, Killed, Switch, World, kinds

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


async def test_a_service_that_is_away_from_the_start_is_not_the_builds_fault() -> None:
    ports = World(SCRIPT).ports(Switch())

    async def away(claim: Claim) -> Holds:
        raise DependencyDown("the budget is away")

    ports.budget.attach = away  # type: ignore[method-assign] # a service that stays away
    with pytest.raises(NothingBegun, match="the budget is away"):
        await run(World(SCRIPT).claim(), ports)


async def test_a_build_that_is_given_up_in_a_command_answers_it_with_the_outcome() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())

    async def killed_in_it(claim: Claim, generation: int, op_id: str, log_sequence: int, tool: ToolInput) -> ToolAnswer:
        world.operations[op_id] = "sleep"
        raise Killed

    ports.sandbox.dispatch = killed_in_it  # type: ignore[method-assign] # the moment is what matters
    with pytest.raises(Killed):
        await run(world.claim(), ports)
    assert kinds(world) == "HUA"

    ports, appends = world.ports(Switch()), list[Sequence[Entry]]()
    append = ports.checkpoint.append

    async def noted(claim: Claim, head: int, entries: Sequence[Entry]) -> None:
        appends.append(entries)
        await append(claim, head, entries)

    ports.checkpoint.append = noted  # type: ignore[method-assign] # passes on what it notes
    ending = await run(replace(world.claim(), fruitless_claims=MAX_FRUITLESS_CLAIMS), ports)
    assert ending == Ended(Outcome(BuildState.FAILED, GAVE_UP))
    [(results, outcome)] = appends
    assert tool_results(results) == (GIVEN_UP, GIVEN_UP)
    assert outcome.kind is EntryKind.OUTCOME
    assert world.results.keys() == world.operations.keys(), "no command is left running"
    assert world.holds_nothing()
