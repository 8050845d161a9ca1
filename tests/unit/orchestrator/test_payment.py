"""The money of a tenure: a call and the hand-over after it are paid for together, or the build rests."""

from __future__ import annotations

import pytest

from taor_orchestrator.build import BuildState, Claim, Ended, Rested
from taor_orchestrator.loop import run
from taor_orchestrator.money import Denial, DenialCause, Need, Purpose, Reserved, Settlement
from tests.unit.orchestrator.world import FINISH, SCRIPT, TOMORROW, Script, Switch, World, text, use

LONG: Script = [[use("bash", command=f"step {number}")] for number in range(6)] + [[FINISH]]
WORDY: Script = [[text("word " * 20_000), use("bash", command="step")], [use("bash", command="on")], [FINISH]]


async def test_the_first_call_of_a_tenure_is_reserved_with_its_earmark() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())
    asked: list[Need] = []
    reserve = ports.budget.reserve

    async def noting(claim: Claim, need: Need) -> Reserved:
        asked.append(need)
        return await reserve(claim, need)

    ports.budget.reserve = noting  # type: ignore[method-assign] # what is asked for is what matters
    assert isinstance(await run(world.claim(), ports), Ended)
    first = asked[0]
    assert first.purpose is Purpose.CALL
    assert first.earmark is not None
    assert first.earmark.purpose is Purpose.EARMARK
    assert first.earmark.prompt_tokens > first.prompt_tokens
    assert world.holds_nothing()


@pytest.mark.parametrize(
    ("cause", "state"), [(DenialCause.LIMIT, BuildState.SLEEPING), (DenialCause.HOLDS, BuildState.WAITING_BUDGET)]
)
async def test_a_waking_worker_without_money_for_both_rests_and_pays_nothing(
    cause: DenialCause, state: BuildState
) -> None:
    """A call alone would be granted, but the hand-over after it could not be paid."""
    world = World(LONG, earmarks=False)
    ports = world.ports(Switch())
    denial = Denial(cause, 7, TOMORROW, needed_microdollars=10, free_microdollars=9)
    reserve = ports.budget.reserve

    async def too_little_for_both(claim: Claim, need: Need) -> Reserved:
        if need.earmark:
            world.denials = [denial]
        return await reserve(claim, need)

    ports.budget.reserve = too_little_for_both  # type: ignore[method-assign] # the ledger of a poor account
    ending = await run(world.claim(), ports)
    assert isinstance(ending, Rested)
    assert ending.state is state
    assert world.rests[0].denied_version == 7
    assert (world.calls, world.fates, world.reservations) == ([], [], {})


async def test_a_day_that_cannot_carry_both_pays_a_call_and_its_hand_over_comes_at_once() -> None:
    """Else a build whose prompt has grown large for its plan would rest for ever."""
    world = World(LONG, earmarks=False)
    assert isinstance(await run(world.claim(), world.ports(Switch())), Ended)
    assert sum(b"is nearly used up" in entry.body for entry in world.log) == 1


async def test_an_earmark_that_is_outgrown_is_replaced() -> None:
    world = World(WORDY)
    assert isinstance(await run(world.claim(), world.ports(Switch())), Ended)
    earmarks = [each for each in world.reservations.values() if each.need.purpose is Purpose.EARMARK]
    assert len(earmarks) == 2
    assert earmarks[1].need.prompt_tokens > earmarks[0].need.prompt_tokens + 20_000
    assert max(world.most_earmarks) == 1
    assert world.holds_nothing()


async def test_an_earmark_that_cannot_grow_is_kept_and_the_hand_over_comes_now() -> None:
    world = World(WORDY)
    ports = world.ports(Switch())
    advance = ports.budget.advance

    async def denied(claim: Claim, settlement: Settlement, need: Need) -> Reserved:
        world.earmarks = world.earmarks and not need.earmark
        return await advance(claim, settlement, need)

    ports.budget.advance = denied  # type: ignore[method-assign] # the ledger of a poor account
    assert isinstance(await run(world.claim(), ports), Ended)
    told = [entry.sequence for entry in world.log if b"is nearly used up" in entry.body]
    assert told == [4]  # with the results of the first answer
    assert sum(each.need.purpose is Purpose.EARMARK for each in world.reservations.values()) == 1
    assert world.holds_nothing()


async def test_a_build_that_comes_to_wait_for_others_keeps_no_earmark() -> None:
    world = World(LONG, holds_ahead=False)
    ports = world.ports(Switch())
    others = Denial(DenialCause.HOLDS, 7, TOMORROW, needed_microdollars=3 * 10**9, free_microdollars=0)
    reserve = ports.budget.reserve

    async def taken_by_others(claim: Claim, need: Need) -> Reserved:
        if world.sends == 2:
            assert tuple(world.held(Purpose.EARMARK))
            world.denials = [others]
        return await reserve(claim, need)

    ports.budget.reserve = taken_by_others  # type: ignore[method-assign] # the ledger of a busy account
    ending = await run(world.claim(), ports)
    assert isinstance(ending, Rested)
    assert ending.state is BuildState.WAITING_BUDGET
    assert world.holds_nothing()


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_build_rests_with_a_forecast_or_without(is_away: bool) -> None:
    world = World(LONG, broke=True, finished_turns=[4, 9], forecasts_fail=is_away)
    assert isinstance(await run(world.claim(), world.ports(Switch())), Rested)
    forecast = world.rests[0].forecast
    assert (forecast.p50.finish_microdollars if forecast else None) == (None if is_away else 9)


async def test_the_hand_over_takes_the_place_of_the_earmark() -> None:
    world = World(LONG, limit=3)
    ending = await run(world.claim(), world.ports(Switch()))
    assert isinstance(ending, Ended | Rested)
    purposes = [each.need.purpose for each in world.reservations.values()]
    assert purposes.count(Purpose.EARMARK) == 1
    (first, *_) = [each.need for each in world.reservations.values() if each.need.purpose is Purpose.HANDOVER]
    assert first.replaces in world.reservations


async def test_a_settlement_names_the_tools_that_the_answer_asked_for() -> None:
    world = World(SCRIPT)
    await run(world.claim(), world.ports(Switch()))
    told = [each.settlement.tools for each in world.reservations.values() if each.settlement]
    assert told == [("narrate", "bash"), ("read_file", "grep", "bash"), ("bash",), ("finish",)]
