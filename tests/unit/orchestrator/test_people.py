"""What people tell a build: it reaches the agent once, whatever is killed; questions and pauses rest until they end."""

from __future__ import annotations

import contextlib

import orjson
import pytest

from taor_orchestrator.build import BuildState, Ended, Ending, Waiting
from taor_orchestrator.events import Escalated, MessageRead, derive
from taor_orchestrator.history import History
from taor_orchestrator.inbox import TextKind
from taor_orchestrator.loop import run
from taor_orchestrator.ports import Fate
from tests.unit.orchestrator.world import FINISH, SCRIPT, Killed, Script, Switch, World, kinds, use

ASK = use("escalate", question="Which colour?", tried="Both.", options=["red", "blue"], recommendation="red")
ASKING: Script = [
    [use("bash", command="echo a >> count")],
    [use("narrate", message="A question."), ASK],
    [use("bash", command="./check")],
    [FINISH],
]


async def _tenure(world: World, kill_at: int | None = None) -> Ending:
    return await run(world.claim(), world.ports(Switch(kill_at)))


def _carriers(world: World, inbox_id: str) -> list[int]:
    return [entry.sequence for entry in world.log if inbox_id in entry.inbox_ids]


async def test_a_question_rests_until_it_is_answered() -> None:
    world = World(ASKING)
    assert await _tenure(world) == Waiting(BuildState.WAITING_ANSWER)
    assert world.holds_nothing()
    assert world.fates == [Fate.PAUSE]
    assert await _tenure(world) == Waiting(BuildState.WAITING_ANSWER), "woken without an answer it rests again"
    assert len(world.calls) == 2
    world.send(TextKind.ANSWER, "Green.")
    assert isinstance(await _tenure(world), Ended)
    assert kinds(world) == "HUAUAUUAUAUO"
    assert orjson.loads(world.log[6].body)["content"] == [{"type": "text", "text": "Answer from your user: Green."}]
    assert world.unmarked() == []


async def test_the_question_and_its_answer_are_told() -> None:
    world = World(ASKING)
    await _tenure(world)
    world.send(TextKind.STEER, "Hurry.")
    world.send(TextKind.ANSWER, "Green.")
    await _tenure(world)
    events = [each.event for each in derive(History(tuple(world.log)), 0)]
    assert [each for each in events if isinstance(each, Escalated)] == [
        Escalated("Which colour?", "Both.", ("red", "blue"), "red")
    ]
    assert [each for each in events if isinstance(each, MessageRead)] == [
        MessageRead("item-0", "Your user adds: Hurry."),
        MessageRead("item-1", "Answer from your user: Green."),
    ]


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([use("escalate", question="", tried="x", options=[], recommendation="x")], "needs `question`"),
        ([use("escalate", question="x", tried="x", options="red", recommendation="x")], "needs `options`"),
        ([use("escalate", question="x", tried="x", options=["x"] * 11, recommendation="x")], "at most 10"),
        ([ASK, ASK], "one question at a time"),
    ],
)
async def test_a_bad_question_is_refused_with_what_to_do(blocks: list[dict[str, object]], reason: str) -> None:
    world = World([blocks, [FINISH], [use("bash", command="./check")], [FINISH]])
    await _tenure(world)
    result = orjson.loads(world.log[3].body)["content"][-1]
    assert result["is_error"]
    assert reason.lower() in result["content"].lower()


async def test_an_answer_that_arrives_while_the_build_goes_to_rest_is_not_lost() -> None:
    counter = Switch()
    await run((world := World(ASKING)).claim(), world.ports(counter))
    endings: list[type[Ending]] = []
    for point in range(1, counter.passed + 1):
        switch = _Answering(point)
        ending = await run(switch.world.claim(), switch.world.ports(switch))
        assert isinstance(ending, Ended) is bool(switch.world.texts), f"answered at boundary {point}"
        assert len(_carriers(switch.world, "item-0")) == len(switch.world.texts)
        endings.append(type(ending))
    assert endings[0] is Ended


async def test_a_steer_is_read_before_the_next_call() -> None:
    world = World(SCRIPT)
    world.send(TextKind.STEER, "Also say goodbye.")
    assert isinstance(await _tenure(world), Ended)
    assert kinds(world) == "HUUAUAUAUAUO"
    assert world.log[2].inbox_ids == ("item-0",)


async def test_a_steer_stands_in_one_entry_whatever_is_killed() -> None:
    counter = Switch()
    world = World(SCRIPT)
    world.send(TextKind.STEER, "Also say goodbye.")
    await run(world.claim(), world.ports(counter))
    for point in range(1, counter.passed + 1):
        world = World(SCRIPT)
        world.send(TextKind.STEER, "Also say goodbye.")
        with pytest.raises(Killed):
            await _tenure(world, kill_at=point)
        assert isinstance(await _tenure(world), Ended)
        assert len(_carriers(world, "item-0")) == 1, f"killed at boundary {point}"
        assert world.holds_nothing()
        assert world.unmarked() == []


async def test_what_is_added_while_the_agent_finishes_goes_on_with_the_build() -> None:
    given_up = FINISH | {"input": {**_finish_input(), "outcome": "failed"}}
    world = World([[given_up], [given_up]])
    ports = world.ports(Switch())
    call = ports.model.call

    async def add_meanwhile(*arguments: object, **more: object) -> object:
        if not world.texts:
            world.send(TextKind.STEER, "Also say goodbye.")
            ports.lease.inbox_waiting.set()
        return await call(*arguments, **more)  # type: ignore[arg-type] # passed on as it came

    ports.model.call = add_meanwhile  # type: ignore[assignment,method-assign] # the moment is what this is about
    assert isinstance(await run(world.claim(), ports), Ended)
    assert kinds(world) == "HUAUUAUO"


async def test_a_pause_begins_at_the_turn_boundary_and_ends_when_it_is_resumed() -> None:
    world = World(SCRIPT, paused=True)
    assert await _tenure(world) == Waiting(BuildState.PAUSED)
    assert world.calls == []
    assert world.holds_nothing()
    world.paused = False
    assert isinstance(await _tenure(world), Ended)


async def test_a_pause_that_was_taken_back_meanwhile_is_none() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())
    ports.lease.pause_requested.set()
    assert isinstance(await run(world.claim(), ports), Ended)


async def test_a_paused_question_is_answered_after_the_pause() -> None:
    world = World(ASKING)
    await _tenure(world)
    world.paused = True
    world.send(TextKind.ANSWER, "Green.")
    assert await _tenure(world) == Waiting(BuildState.PAUSED)
    world.paused = False
    assert isinstance(await _tenure(world), Ended)
    assert len(_carriers(world, "item-0")) == 1


async def test_kills_around_a_question_leave_nothing_behind() -> None:
    counter = Switch()
    await run((world := World(ASKING)).claim(), world.ports(counter))
    for point in range(1, counter.passed + 1):
        world = World(ASKING)
        with contextlib.suppress(Killed):
            await _tenure(world, kill_at=point)
        assert await _tenure(world) == Waiting(BuildState.WAITING_ANSWER), f"killed at boundary {point}"
        assert world.holds_nothing()
        world.send(TextKind.ANSWER, "Green.")
        with contextlib.suppress(Killed):
            await _tenure(world, kill_at=1 + point % 20)
        assert isinstance(await _tenure(world), Ended)
        assert len(_carriers(world, "item-0")) == 1, f"killed at boundary {point}"


class _Answering(Switch):
    """Answers the question at the first boundary from `point` on at which it stands open."""

    def __init__(self, point: int) -> None:
        super().__init__()
        self.world = World(ASKING)
        self._point = point

    async def boundary(self) -> None:
        await super().boundary()
        log, texts = self.world.log, self.world.texts
        if self.passed >= self._point and not texts and log and b"Your user was asked" in log[-1].body:
            self.world.send(TextKind.ANSWER, "Green.")


def _finish_input() -> dict[str, object]:
    fields = FINISH["input"]
    assert isinstance(fields, dict)
    return fields
