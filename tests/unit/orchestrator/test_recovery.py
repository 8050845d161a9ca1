"""The table of a take-over, line by line: what becomes of a hold, and what the log asks for next."""

from __future__ import annotations

import datetime

import orjson
import pytest

from taor_orchestrator import context, localtools
from taor_orchestrator.build import BuildState, Outcome
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.model.port import Usage
from taor_orchestrator.money import Hold, HoldState
from taor_orchestrator.recovery import (
    Act,
    Begin,
    Close,
    Leave,
    Nudge,
    Think,
    Verdict,
    decide_holds,
    lost_note,
    next_step,
)
from taor_orchestrator.toolset import Operation, OperationState
from taor_orchestrator.transcript import ToolAnswer, tool_uses
from tests.unit.orchestrator.world import FINISH, text, use

USAGE = Usage(10, 5, 0, 0, 0, "standard")
START = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def _history(*entries: tuple[EntryKind, bytes]) -> History:
    history = History()
    for number, (kind, body) in enumerate(entries, start=1):
        call = None
        if kind is EntryKind.ASSISTANT:
            call = ModelCall(f"b/1/{number}", b"", "model", 1, USAGE, "tool_use", "price", START)
        history = history.grow(Entry(number, 1, 1, kind, body, (), call))
    return history


def _answer(*blocks: dict[str, object]) -> tuple[EntryKind, bytes]:
    return EntryKind.ASSISTANT, orjson.dumps({"role": "assistant", "content": blocks})


HEAD = (EntryKind.HEAD, b"{}")
BRIEF = (EntryKind.USER, context.note_body("Say hello."))
BASH = _answer(use("bash", command="true"))
READ = _answer(use("read_file", path="a"))


def _held(rid: str, needs_sequence: int, state: HoldState = HoldState.HELD, *, earmark: bool = False) -> Hold:
    return Hold(rid, state, needs_sequence, earmark)


@pytest.mark.parametrize(
    ("hold", "operations", "verdict"),
    [
        (_held("b/1/3", 2), [], Verdict.SETTLE),
        (_held("b/1/3", 2, HoldState.EXPIRED), [], Verdict.SETTLE),
        (_held("b/1/9", 2, HoldState.EXPIRED), [], Verdict.LEAVE),
        (_held("b/1/9", 3, earmark=True), [], Verdict.RELEASE),
        (_held("b/1/9", 4), [], Verdict.RELEASE),
        (_held("b/1/9", 3), [], Verdict.RELEASE),
        (_held("b/1/9", 3), [OperationState.STARTING], Verdict.RELEASE),
        (_held("b/1/9", 3), [OperationState.DONE], Verdict.CHARGE),
        (_held("b/1/9", 3), [OperationState.INTERRUPTED], Verdict.CHARGE),
        (_held("b/1/9", 3), [OperationState.LOST], Verdict.CHARGE),
        (_held("b/1/9", 2), [], Verdict.CHARGE),
    ],
)
def test_what_becomes_of_a_hold(hold: Hold, operations: list[OperationState], verdict: Verdict) -> None:
    history = _history(HEAD, BRIEF, BASH)
    journal = [Operation("b/1/3/0", state) for state in operations]
    [decision] = decide_holds(history, [hold], journal)
    assert decision.verdict is verdict
    assert decision.usage == (USAGE if verdict is Verdict.SETTLE else None)
    assert decision.tools == (("bash",) if verdict is Verdict.SETTLE else ())


def test_a_hold_after_an_answer_that_only_reads_is_charged() -> None:
    [decision] = decide_holds(_history(HEAD, BRIEF, READ), [_held("b/1/9", 3)], [])
    assert decision.verdict is Verdict.CHARGE


def _results(answer: tuple[EntryKind, bytes], *, failed: bool = False) -> tuple[EntryKind, bytes]:
    uses = tool_uses(_history(answer).entries[0])
    return EntryKind.USER, context.results_body(uses, [ToolAnswer("ok", failed)] * len(uses))


def test_what_the_log_asks_for_next() -> None:
    outcome = Outcome(BuildState.SUCCEEDED, "It runs.", "./check", "ok", 0)
    finish = _answer(FINISH)
    assert next_step(History()) == Begin()
    assert next_step(_history(HEAD)) == Begin()
    assert next_step(_history(HEAD, BRIEF)) == Think()
    assert isinstance(next_step(_history(HEAD, BRIEF, BASH)), Act)
    assert next_step(_history(HEAD, BRIEF, BASH, _results(BASH))) == Think()
    assert next_step(_history(HEAD, BRIEF, _answer(text("Hm.")))) == Nudge()
    assert next_step(_history(HEAD, BRIEF, finish, _results(finish))) == Close(outcome)
    assert next_step(_history(HEAD, BRIEF, finish, _results(finish, failed=True))) == Think()
    logged = (EntryKind.OUTCOME, localtools.outcome_body(outcome))
    assert next_step(_history(HEAD, BRIEF, logged)) == Leave(outcome)


def test_a_lost_effect_is_told_until_the_log_names_it() -> None:
    lost = [Operation("b/1/3/0", OperationState.LOST)]
    history = _history(HEAD, BRIEF, BASH, _results(BASH))
    note = lost_note(history, lost)
    assert note is not None
    assert "b/1/3/0" in note
    told = _history(HEAD, BRIEF, BASH, _results(BASH), (EntryKind.USER, context.note_body(note)))
    assert lost_note(told, lost) is None
    assert lost_note(history, []) is None


def test_a_request_is_the_head_and_the_messages_byte_for_byte() -> None:
    head = context.head_body("claude-sonnet-5-5")
    history = _history((EntryKind.HEAD, head), BRIEF, BASH, _results(BASH))
    request = context.request_body(history, 77)
    messages = b",".join(entry.body for entry in history.entries[1:])
    assert request == head[:-1] + b',"max_tokens":77,"stream":true,"messages":[' + messages + b"]}"
    assert orjson.loads(request)["model"] == "claude-sonnet-5-5"
