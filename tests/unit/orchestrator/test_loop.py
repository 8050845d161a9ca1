"""The loop over a world in memory: what it does, and that a kill at any boundary changes nothing that matters."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from taor_orchestrator.build import BuildState, Ended, Ending, HandedOver, Rested
from taor_orchestrator.loop import run
from taor_orchestrator.model.port import CallFailed, FailureKind, Outcome
from taor_orchestrator.money import Denial, DenialCause
from taor_orchestrator.ports import Fate, LeaseLost
from tests.unit.orchestrator.world import FINISH, SCRIPT, TOMORROW, Killed, Script, Switch, World, kinds, text, use


async def _build(script: Script = SCRIPT, world: World | None = None) -> tuple[World, Ending]:
    world = world or World(script)
    return world, await run(world.claim(), world.ports(Switch()))


def _bodies(world: World) -> list[bytes]:
    return [entry.body for entry in world.log]


async def test_a_build_ends_with_everything_logged_paid_and_projected() -> None:
    world, ending = await _build()
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.SUCCEEDED
    assert kinds(world) == "HUAUAUAUAUO"
    assert list(world.operations.values()) == ["echo a >> count", "echo b >> count", "./check"]
    assert world.states() == ["SETTLED"] * 4 + ["RELEASED"]
    assert world.projected == len(world.log)
    assert world.fates == [Fate.DESTROY]


@pytest.mark.parametrize("holds_ahead", [True, False])
async def test_a_kill_at_any_boundary_is_invisible_afterwards(holds_ahead: bool) -> None:
    unkilled, _ = await _build()
    counter = Switch()
    await run((world := World(SCRIPT, holds_ahead=holds_ahead)).claim(), world.ports(counter))
    assert counter.passed > 40
    for point in range(1, counter.passed + 1):
        world = World(SCRIPT, holds_ahead=holds_ahead)
        with pytest.raises(Killed):
            await run(world.claim(), world.ports(Switch(kill_at=point)))
        await run(world.claim(), world.ports(Switch()))
        assert _bodies(world) == _bodies(unkilled), f"killed at boundary {point}"
        assert world.operations.keys() >= world.results.keys()
        assert len(world.operations) == 3, f"killed at boundary {point}"
        states = world.states()
        assert "HELD" not in states
        repeated = states.count("CHARGED") + states.count("SETTLED") - 4
        assert world.sends - 4 <= repeated <= 1, f"killed at boundary {point}"
        assert world.projected == len(world.log)


async def test_pairs_of_kills_cost_at_most_one_hold_each() -> None:
    unkilled, _ = await _build()
    for first in range(1, 90, 3):
        world = World(SCRIPT)
        kills = 0
        for point in (first, 1 + first * 7 % 23):
            try:
                await run(world.claim(), world.ports(Switch(kill_at=point)))
            except Killed:
                kills += 1
        await run(world.claim(), world.ports(Switch()))
        assert _bodies(world) == _bodies(unkilled), f"killed at {first}"
        assert world.states().count("CHARGED") <= kills


async def test_a_stale_worker_changes_nothing() -> None:
    world = World(SCRIPT)
    claim = world.claim()
    world.claim()
    with pytest.raises(LeaseLost):
        await run(claim, world.ports(Switch()))
    assert world.log == []


async def test_a_denied_build_rests_and_asks_no_sandbox() -> None:
    denial = Denial(DenialCause.LIMIT, 7, TOMORROW, 10, 0)
    world, ending = await _build(world=World(SCRIPT, denials=[denial, denial]))
    assert isinstance(ending, Rested)
    assert ending.state is BuildState.SLEEPING
    assert ending.wake_time > TOMORROW
    assert world.rests[0].denied_version == 7
    assert world.fates == []
    assert world.calls == []


async def test_it_goes_on_after_a_rest() -> None:
    denial = Denial(DenialCause.HOLDS, 7, TOMORROW, 10, 0)
    world, ending = await _build(world=World(SCRIPT, denials=[denial, denial]))
    assert isinstance(ending, Rested)
    assert ending.state is BuildState.WAITING_BUDGET
    _, ending = await _build(world=world)
    assert isinstance(ending, Ended)


@pytest.mark.parametrize(("outcome", "state"), [(Outcome.NOT_SENT, "RELEASED"), (Outcome.UNKNOWN, "CHARGED")])
async def test_a_failed_call_is_repeated_under_a_new_id(outcome: Outcome, state: str) -> None:
    failure = CallFailed(FailureKind.OVERLOADED, outcome, "busy", retryable=True)
    world, ending = await _build(world=World(SCRIPT, failures=[failure]))
    assert isinstance(ending, Ended)
    assert world.states()[0] == state
    assert len(world.calls) == len(set(world.calls)) == 4


async def test_a_call_that_cannot_succeed_fails_the_build_with_its_reason() -> None:
    failure = CallFailed(FailureKind.CREDENTIALS, Outcome.REFUSED_UNBILLED, "no such key", retryable=False)
    _, ending = await _build(world=World(SCRIPT, failures=[failure]))
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.FAILED
    assert "no such key" in ending.outcome.message


async def test_finish_is_refused_while_the_last_change_is_unverified() -> None:
    script: Script = [[use("write_file", path="a", content="x"), FINISH], [use("bash", command="./check")], [FINISH]]
    world, ending = await _build(script)
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.SUCCEEDED
    refusal = orjson.loads(world.log[3].body)["content"][1]
    assert refusal["is_error"]
    assert "after the last command" in refusal["content"]


async def test_an_agent_that_only_talks_is_asked_to_go_on_and_then_fails() -> None:
    _, ending = await _build([[text("Hm.")], [text("Hm.")], [text("Hm.")]])
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.FAILED


async def test_a_cancelled_build_is_closed_before_the_next_call() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())
    asyncio.get_running_loop().call_soon(ports.lease.cancel_requested.set)
    ending = await run(world.claim(), ports)
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.CANCELLED
    assert world.log[-1].inbox_ids == ("cancel-1",)
    assert len(world.calls) <= 1
    assert "HELD" not in world.states()


async def test_a_stopping_process_hands_over_at_a_turn_boundary() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())
    ports.lease.handing_over.set()
    assert await run(world.claim(), ports) == HandedOver()
    assert "HELD" not in world.states()
    _, ending = await _build(world=world)
    assert isinstance(ending, Ended)
