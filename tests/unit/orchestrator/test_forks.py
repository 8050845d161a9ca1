"""What a fork inherits is neither its money nor its events nor its turns; and what it tells its agent first."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from taor_orchestrator import context, guards, inheritance, winddown
from taor_orchestrator.build import BuildState, Claim, Ended, Ending, Fork
from taor_orchestrator.events import TurnTaken, derive
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.loop import run
from taor_orchestrator.money import Allowance, Hold, HoldState, prompt_bound
from taor_orchestrator.recovery import Begin, Verdict, decide_holds, next_step
from taor_orchestrator.turns import Kept, Shelf, Turn, closed_turns, documents_of, in_ranges
from tests.unit.orchestrator.world import FINISH, SCRIPT, TOMORROW, Killed, Switch, World, kinds, text, use

ORIGIN = "0193f0c2-0000-7000-8000-00000000000f"
FORK = Fork(ORIGIN, 2, "Mind the order.")


async def _origin_log(turns: int) -> list[Entry]:
    """The first turns of another build, as a fork inherits them: of no epoch of its own."""
    world = World(SCRIPT)
    claim = dataclasses.replace(world.claim(), build_id=ORIGIN)
    await run(claim, world.ports(Switch()))
    kept = world.log[: 2 + 2 * turns]
    return [dataclasses.replace(each, epoch=0, inbox_ids=(), origin_build_id=ORIGIN) for each in kept]


async def _forked(turns: int = 2) -> World:
    """A world with a fork in it that nobody has worked on."""
    world = World(SCRIPT, log=await _origin_log(turns))
    world.projected = len(world.log)
    return world


def _claim(world: World, model: str = "model") -> Claim:
    return dataclasses.replace(world.claim(), fork=FORK, model=model)


async def _run(world: World, switch: Switch | None = None, model: str = "model") -> Ending:
    return await run(_claim(world, model), world.ports(switch or Switch()))


async def test_a_fork_pays_and_runs_only_what_comes_after_it() -> None:
    world = await _forked()
    ending = await _run(world)
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.SUCCEEDED
    assert kinds(world) == "HUAUAU" + "U" + "AUAUO"
    assert world.states() == ["SETTLED"] * 2 + ["RELEASED"]
    assert all(not rid.startswith(ORIGIN) for rid in world.reservations)
    assert list(world.operations.values()) == ["./check"]
    own = [each.event for each in derive(History(tuple(world.log)), 6)]
    assert [each.turn for each in own if isinstance(each, TurnTaken)] == [3, 4]


async def test_a_kill_at_any_boundary_of_a_fork_is_invisible_afterwards() -> None:
    unkilled = await _forked()
    await _run(unkilled)
    counter = Switch()
    await _run(await _forked(), counter)
    for point in range(1, counter.passed + 1):
        world = await _forked()
        with pytest.raises(Killed):
            await _run(world, Switch(kill_at=point))
        await _run(world)
        assert [each.body for each in world.log] == [each.body for each in unkilled.log], f"killed at boundary {point}"
        assert world.holds_nothing()


async def test_another_model_begins_a_segment_with_an_account_wherever_it_is_killed() -> None:
    for point in range(1, 200):
        world = await _forked()
        try:
            await _run(world, Switch(kill_at=point), model="another")
            break
        except Killed:
            await _run(world, model="another")
        assert kinds(world) == "HUAUAU" + "HU" + "AUAUAUAUO"
    assert point > 40
    head, account = world.log[6:8]
    assert orjson.loads(head.body)["model"] == "another"
    told = orjson.loads(account.body)["content"][0]["text"]
    for part in ("Say hello.", "You called bash: ", "echo b >> count", "Your user adds: Mind the order."):
        assert part in told
    assert f"taor-build: {_claim(world).build_id}" in told


async def test_a_long_account_leaves_its_oldest_part_out() -> None:
    history = History(tuple(await _origin_log(1)))
    words = "x" * 3_000
    for number in range(60):
        answer = dataclasses.replace(history.entries[2], sequence=history.head + 1, body=_answer(f"{number}: {words}"))
        history = history.grow(answer)
    claim = _claim(World(SCRIPT), "another")
    [_, (_, body)] = inheritance.opening(history, claim)
    told = orjson.loads(body)["content"][0]["text"]
    assert len(told) < inheritance.MAX_ACCOUNT_CHARS + 10_000
    assert "(What came before is left out.)" in told
    assert "You said: 59: " in told
    assert "You said: 1: " not in told


def _answer(words: str) -> bytes:
    return orjson.dumps({"role": "assistant", "content": [text(words)]})


async def test_what_is_inherited_asks_for_nothing_and_settles_nothing() -> None:
    history = History(tuple(await _origin_log(2)))
    assert isinstance(next_step(history), Begin)
    finished = History(tuple(await _origin_log(4)))
    assert isinstance(next_step(finished), Begin), "an inherited end is not the fork's"
    inherited = history.entries[2].call
    assert inherited is not None
    [decision] = decide_holds(history, [Hold(inherited.rid, HoldState.HELD, 2, earmark=False)], ())
    assert decision.verdict is not Verdict.SETTLE
    assert guards.turns(history) == 0


async def test_what_an_origin_was_told_of_its_allowance_a_fork_was_not() -> None:
    allowance = Allowance(
        limit_microdollars=100,
        hard_limit_microdollars=110,
        spent_microdollars=95,
        build_spent_microdollars=0,
        refresh_time=TOMORROW,
        account_version=1,
    )
    told = Entry(1, 1, 1, EntryKind.USER, context.note_body(winddown.note(allowance)))
    assert winddown.answers_since_told(History((told,)), allowance) == 0
    inherited = dataclasses.replace(told, origin_build_id=ORIGIN)
    assert winddown.answers_since_told(History((inherited,)), allowance) is None


async def test_the_bound_of_a_new_segment_begins_with_it() -> None:
    history = History(tuple(await _origin_log(2)))
    inherited = prompt_bound(history)
    head = Entry(7, 2, 1, EntryKind.HEAD, b"{}")
    assert prompt_bound(history.grow(head)) < inherited


async def test_a_turn_is_closed_when_every_tool_call_is_answered() -> None:
    log = await _origin_log(2)
    assert [(each.number, each.log_sequence, each.head) for each in closed_turns(History(tuple(log)))] == [
        (1, 3, 4),
        (2, 5, 6),
    ]
    assert [each.number for each in closed_turns(History(tuple(log[:5])))] == [1]
    said = dataclasses.replace(log[4], body=_answer("Done."))
    assert [each.head for each in closed_turns(History((*log[:4], said)))] == [4, 5]


async def test_a_shelf_knows_the_turns_whose_files_it_has() -> None:
    def has(shelf: Shelf) -> list[int]:
        return [at for at in range(3, 12) if shelf.has(_turn(at))]

    assert has(Shelf((), 0)) == list(range(3, 12)), "nothing was ever changed"
    assert has(Shelf((), 6)) == [3, 4, 5]
    assert has(Shelf((Kept(9, 0), Kept(5, 7)), 5)) == [3, 4, 5, 6, 9, 10, 11]
    assert has(Shelf((Kept(7, 7),), 3)) == [], "half of an answer is no turn"


def _turn(at: int) -> Turn:
    return Turn(1, Entry(at, 1, 1, EntryKind.ASSISTANT, b"{}"), at)


def test_turns_are_named_in_ranges() -> None:
    assert in_ranges([5, 1, 3, 4, 9]) == "1, 3–5, 9"
    assert in_ranges([]) == ""


async def test_a_fork_inherits_the_documentation_as_it_stood() -> None:
    sections = [[use("document", section="overview", content=words)] for words in ("Old.", "New.")]
    world = World([*sections, [use("bash", command="./check")], [FINISH]])
    await run(world.claim(), world.ports(Switch()))
    log = tuple(world.log)
    assert documents_of(History(log[:4])) == (("overview", "Old."),)
    assert documents_of(History(log)) == (("overview", "New."),)
