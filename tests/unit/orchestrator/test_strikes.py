"""When the agent has tried enough: the same failure, approach by approach, whatever happens in between."""

from __future__ import annotations

import datetime
from pathlib import Path

import orjson
import pytest

from taor_orchestrator import context, escalation
from taor_orchestrator.build import BuildState, Ended, Waiting
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.inbox import TextKind
from taor_orchestrator.loop import run
from taor_orchestrator.strikes import Record, follow, refusal, signature
from taor_orchestrator.transcript import ToolAnswer, Use, tool_uses
from taor_sandbox.backends.port import CommandExit, Ending
from taor_sandbox.tools.bash import Printed, ran
from taor_sandbox.tools.inputs import Bash
from taor_sandbox.truncation import Kept
from tests.replay.recording import prefixes, read
from tests.unit.orchestrator.world import FINISH, Script, Switch, World, use

STARTED = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
FAILED = "FAIL: test_one\nAssertionError: 0 != 3\nRan 8 tests in 0.001s\n[The command ended with status 1.]\n"
Call = tuple[str, dict[str, object], ToolAnswer]

TEST: Call = ("bash", {"command": "make test"}, ToolAnswer(FAILED, failed=True))
EDIT: Call = ("write_file", {"path": "a", "content": "x"}, ToolAnswer("Written."))
ASKED: Call = ("escalate", {}, ToolAnswer(escalation.ASKED))
AGAIN = Use(0, "t", "bash", {"command": "make test"}, True)


def log_of(*calls: Call) -> History:
    """A log with one turn per call."""
    history = History().grow(
        Entry(1, 1, 1, EntryKind.HEAD, b"{}"), Entry(2, 1, 1, EntryKind.USER, context.note_body("Go."))
    )
    for number, (name, fields, result) in enumerate(calls):
        body = orjson.dumps({"role": "assistant", "content": [use(name, **fields)]})
        call = ModelCall(f"b/1/{number}", b"", "model", 10, None, "tool_use", "price", STARTED)
        answer = Entry(history.head + 1, 1, 1, EntryKind.ASSISTANT, body, (), call)
        results = context.results_body(tool_uses(answer), [result])
        history = history.grow(answer, Entry(answer.sequence + 1, 1, 1, EntryKind.USER, results))
    return history


def refused(*calls: Call, next_call: Use = AGAIN) -> str:
    return refusal(follow(Record(), log_of(*calls)), next_call) or ""


def other(text: str) -> Call:
    return ("bash", {"command": "make test"}, ToolAnswer(text, failed=True))


def test_three_different_approaches_to_one_failure_are_enough() -> None:
    assert not refused(TEST, EDIT, TEST, EDIT)
    assert "escalate" in refused(TEST, EDIT, TEST, EDIT, TEST)
    assert "escalate" in refused(TEST, EDIT, TEST, EDIT, TEST, next_call=Use(0, "t", "write_file", {}, True))


def test_numbers_do_not_make_another_failure_but_words_do() -> None:
    slower = other(FAILED.replace("0.001s", "0.042s").replace("0 != 3", "2 != 3"))
    assert "escalate" in refused(TEST, EDIT, slower, EDIT, TEST)
    elsewhere = other(FAILED.replace("test_one", "test_two"))
    assert not refused(TEST, EDIT, elsewhere, EDIT, TEST)


def test_a_repetition_is_no_approach_but_a_strike() -> None:
    assert not refused(TEST, TEST)
    assert "nothing was changed" in refused(TEST, TEST, TEST)
    assert not refused(TEST, TEST, TEST, EDIT)
    assert not refused(TEST, TEST, TEST, next_call=Use(0, "t", "bash", {"command": "make lint"}, True))


def test_an_overcome_failure_and_an_asked_question_begin_anew() -> None:
    passed: Call = ("bash", {"command": "make test"}, ToolAnswer("ok"))
    assert not refused(TEST, EDIT, TEST, passed, TEST, EDIT, TEST)
    stuck = (TEST, EDIT, TEST, EDIT, TEST)
    assert not refused(*stuck, ASKED)
    assert "escalate" in refused(*stuck, ("escalate", {}, ToolAnswer("needs `question`", failed=True)))


def test_it_can_be_followed_entry_by_entry() -> None:
    history = log_of(TEST, EDIT, TEST, EDIT, TEST, ASKED, TEST)
    record = Record()
    for head in range(1, history.head + 1):
        record = follow(record, History(history.entries[:head]))
    assert record == follow(Record(), history)


def test_silent_commands_fail_each_in_its_own_way() -> None:
    silent = "[The command ended with status 1.]\n"
    assert signature("test -f a", silent) != signature("test -f b", silent)


@pytest.mark.parametrize(
    ("ending", "counts"),
    [(Ending.EXITED, True), (Ending.TIMEOUT, True), (Ending.KILLED, False), (Ending.MEMORY_LIMIT, False)],
)
def test_it_knows_the_words_of_the_sandbox(ending: Ending, counts: bool) -> None:
    printed, nothing = Printed(Kept("FAIL: one\n"), "/out"), Printed(Kept(""), "/err")
    exit = CommandExit(1, ending, ".", 10, 0, 0.1)
    told = ran(Bash("make test", 120, False), exit, printed, nothing).text
    assert (signature("make test", told) is not None) is counts


def test_builds_that_were_kept_would_not_have_been_stopped() -> None:
    for path in (Path(__file__).parents[2] / "replay/corpus").glob("*.jsonl"):
        for before, entry in prefixes(read(path).history):
            if entry.kind is EntryKind.ASSISTANT:
                record = follow(Record(), before)
                assert all(refusal(record, each) is None for each in tool_uses(entry))


async def test_a_build_that_is_stuck_runs_nothing_until_it_has_asked() -> None:
    ask = use("escalate", question="How?", tried="Thrice.", options=[], recommendation="None.")
    failing = use("bash", command="make fail")
    script: Script = [
        *([failing, use("write_file", path="a", content=str(n))] for n in range(3)),
        [failing, use("read_file", path="a")],
        [ask],
        [use("bash", command="./check")],
        [FINISH],
    ]
    world = World(script)
    assert await run(world.claim(), world.ports(Switch())) == Waiting(BuildState.WAITING_ANSWER)
    blocks = orjson.loads(world.log[9].body)["content"]
    assert "escalate" in blocks[0]["content"]
    assert blocks[0]["is_error"]
    assert blocks[1]["content"] == "read"
    assert len([each for each in world.operations.values() if each == "make fail"]) == 3
    world.send(TextKind.ANSWER, "Like this.")
    assert isinstance(await run(world.claim(), world.ports(Switch())), Ended)
