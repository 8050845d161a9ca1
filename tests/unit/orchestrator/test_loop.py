"""The loop over a world in memory: what it does, and that a kill at any boundary changes nothing that matters."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import pytest

from taor_orchestrator import log, winddown
from taor_orchestrator.build import BuildState, Claim, Ended, Ending, HandedOver, Rested
from taor_orchestrator.events import AllowanceLow, derive
from taor_orchestrator.history import EntryKind, History
from taor_orchestrator.loop import run
from taor_orchestrator.model.port import CallFailed, FailureKind, Outcome
from taor_orchestrator.money import Allowance, Denial, DenialCause, Need, Purpose, Reserved
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
    assert world.holds_nothing()
    assert world.projected == len(world.log)
    assert world.fates == [Fate.DESTROY]


@pytest.fixture(params=[log.TRAIL_SECONDS, 0.0], ids=["results with the answer", "results alone"])
def results(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are appended with the answer that follows, as when a model is fast, or before it comes."""
    monkeypatch.setattr(log, "TRAIL_SECONDS", request.param)


@pytest.mark.usefixtures("results")
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
        assert world.holds_nothing()
        repeated = states.count("CHARGED") + states.count("SETTLED") - 4
        assert world.sends - 4 <= repeated <= 1, f"killed at boundary {point}"
        assert world.projected == len(world.log)
        assert world.fates[-1] is Fate.DESTROY, f"killed at boundary {point}"


@pytest.mark.usefixtures("results")
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
    world, ending = await _build(world=World(SCRIPT, broke=True))
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
    world = World(SCRIPT, cancelled=True)
    ports = world.ports(Switch())
    asyncio.get_running_loop().call_soon(ports.lease.cancel_requested.set)
    ending = await run(world.claim(), ports)
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.CANCELLED
    assert world.log[-1].inbox_ids == ("cancel-1",)
    assert len(world.calls) <= 1
    assert world.holds_nothing()


async def test_a_cancellation_at_the_moment_the_money_ends_is_not_slept_through() -> None:
    world, ending = await _build(world=World(SCRIPT, broke=True, cancelled=True))
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.CANCELLED
    assert world.rests == []


async def test_a_cancellation_while_money_is_reserved_costs_nothing() -> None:
    world = World(SCRIPT, cancelled=True)
    ports = world.ports(Switch())
    reserve = ports.budget.reserve

    async def cancelled_meanwhile(claim: Claim, need: Need) -> Reserved:
        ports.lease.cancel_requested.set()
        return await reserve(claim, need)

    ports.budget.reserve = cancelled_meanwhile  # type: ignore[method-assign] # the moment is what this is about
    await run(world.claim(), ports)
    assert world.sends == 0
    assert set(world.states()) == {"RELEASED"}


async def test_a_cancelled_build_tells_what_its_last_worker_has_really_done() -> None:
    for point in range(1, 60):
        world = World(SCRIPT)
        with contextlib.suppress(Killed):
            await run(world.claim(), world.ports(Switch(kill_at=point)))
        done = list(world.results.values())
        is_open = world.log and world.log[-1].kind is EntryKind.ASSISTANT and len(done) == 1
        if is_open:
            break
    assert is_open, "a kill between an effect and its result in the log"
    ports = world.ports(Switch())
    ports.lease.cancel_requested.set()
    await run(world.claim(), ports)
    assert done[0].text.encode() in world.log[-2].body


async def test_a_stopping_process_hands_over_at_a_turn_boundary() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())
    ports.lease.handing_over.set()
    assert await run(world.claim(), ports) == HandedOver()
    assert world.holds_nothing()
    _, ending = await _build(world=world)
    assert isinstance(ending, Ended)


def _told(world: World) -> int:
    return sum(b"is nearly used up" in entry.body for entry in world.log)


LONG: Script = [[use("bash", command=f"step {number}")] for number in range(12)] + [[FINISH]]


async def test_near_the_end_of_the_allowance_it_is_told_once_hands_over_and_rests() -> None:
    world, ending = await _build(world=World(LONG, limit=5))
    assert isinstance(ending, Rested)
    assert ending.state is BuildState.SLEEPING
    assert ending.wake_time > TOMORROW
    assert _told(world) == 1
    purposes = [each.need.purpose for each in world.reservations.values() if each.state == "SETTLED"]
    assert purposes[-1] is Purpose.HANDOVER
    assert len(world.calls) <= 5 + winddown.HANDOVER_TURNS
    assert world.holds_nothing()
    assert world.fates == [Fate.PAUSE]
    [told] = [each for each in derive(History(tuple(world.log)), 0) if isinstance(each.event, AllowanceLow)]
    assert told.event == AllowanceLow(5, TOMORROW)
    assert world.forecasts.keys() == {told.log_sequence}


def test_what_was_said_of_an_allowance_before_there_was_an_event_of_it_stays_without() -> None:
    allowance = Allowance(5_250_000, 5_250_000, 5_000_000, 5_000_000, TOMORROW, 1)
    note = winddown.note(allowance)
    assert winddown.read_note(note) == winddown.Told(5_250_000, TOMORROW)
    as_it_was = note.removeprefix("taor-budget: low\n\n")
    assert as_it_was.startswith("The allowance of $5.250000 until 2030-01-02 00:00:00 UTC is nearly used up")
    assert winddown.read_note(as_it_was) is None


async def test_after_a_night_it_goes_on_to_the_same_end() -> None:
    unrationed, _ = await _build(LONG)
    world, ending = await _build(world=World(LONG, limit=5))
    nights = 0
    while isinstance(ending, Rested):
        nights += 1
        world.limit += 5  # another day, another allowance
        _, ending = await _build(world=world)
    assert nights >= 2
    assert isinstance(ending, Ended)
    assert list(world.operations.values()) == list(unrationed.operations.values())
    assert _told(world) == nights


async def test_a_build_that_can_finish_finishes() -> None:
    world, ending = await _build(world=World(SCRIPT, limit=3))
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.SUCCEEDED
    assert _told(world) == 1


async def test_without_an_earmark_the_hand_over_comes_at_once() -> None:
    world, _ = await _build(world=World(LONG, earmarks=False))
    assert _told(world) == 1


async def test_a_worker_that_finds_the_hand_over_done_makes_no_call() -> None:
    world, ending = await _build(world=World(LONG, limit=5))
    calls = len(world.calls)
    _, again = await _build(world=world)
    assert isinstance(ending, Rested)
    assert isinstance(again, Rested)
    assert len(world.calls) == calls


async def test_kills_while_it_hands_over_leave_nothing_behind() -> None:
    counter = Switch()
    await run((world := World(LONG, limit=5)).claim(), world.ports(counter))
    for point in range(1, counter.passed + 1, 3):
        world = World(LONG, limit=5)
        with pytest.raises(Killed):
            await run(world.claim(), world.ports(Switch(kill_at=point)))
        ending = await run(world.claim(), world.ports(Switch()))
        assert isinstance(ending, Rested), f"killed at boundary {point}"
        assert world.holds_nothing(), f"killed at boundary {point}"
        assert _told(world) == 1, f"killed at boundary {point}"


async def test_a_build_whose_own_earmark_is_in_its_way_hands_over_and_does_not_wait() -> None:
    own = Denial(DenialCause.HOLDS, 7, TOMORROW, needed_microdollars=10, free_microdollars=9)
    world = World(LONG, holds_ahead=False)
    ports = world.ports(Switch())
    reserve = ports.budget.reserve

    async def short_of_a_bit(claim: Claim, need: Need) -> Reserved:
        if need.purpose is Purpose.CALL and world.sends == 3 and tuple(world.held(Purpose.EARMARK)):
            world.denials = [own]
        return await reserve(claim, need)

    ports.budget.reserve = short_of_a_bit  # type: ignore[method-assign] # the ledger of a poor account
    ending = await run(world.claim(), ports)
    assert isinstance(ending, Ended)
    assert _told(world) == 1
    assert Purpose.HANDOVER in {each.need.purpose for each in world.reservations.values()}
    assert world.rests == []
    assert world.holds_nothing()
