"""Pure: from the log (and the holds and operations found beside it) to what is left to do.

The rules and their order are those of `docs/protocol.md`, "Taking over a build": money is decided before anything is
appended, and a call whose answer is logged is never sent again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taor_orchestrator import escalation, guards, localtools
from taor_orchestrator.build import BuildState, Outcome
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.model.port import Usage
from taor_orchestrator.money import Hold, HoldState
from taor_orchestrator.toolset import READ_ONLY, BadToolInput, Operation, OperationState, parse
from taor_orchestrator.transcript import Use, tool_results, tool_uses, tools_of

_CLOSED = (OperationState.DONE, OperationState.INTERRUPTED, OperationState.LOST)


@dataclass(frozen=True, slots=True)
class Begin:
    """Nothing in the log is the build's own: write down how the agent is set up and what it is asked for."""


@dataclass(frozen=True, slots=True)
class Think:
    """Everything is answered: call the model."""


@dataclass(frozen=True, slots=True)
class Act:
    """The last answer asks for tools: run them, and tell the model what they came to."""

    answer: Entry


@dataclass(frozen=True, slots=True)
class Nudge:
    """The last answer neither calls a tool nor finishes: ask the model to go on."""


@dataclass(frozen=True, slots=True)
class Await:
    """The agent has asked its user: go on when the answer is there."""


@dataclass(frozen=True, slots=True)
class Close:
    """The build is over: log how it ended."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Leave:
    """How it ended is logged already: tidy up after it."""

    outcome: Outcome


Step = Begin | Think | Act | Nudge | Await | Close | Leave


def next_step(history: History) -> Step:
    """What the log asks for; the same after every turn, after a crash, and after a night's sleep."""
    tail = history.tail
    if tail is None or tail.is_inherited:
        return Begin()
    match tail.kind:
        case EntryKind.OUTCOME:
            return Leave(localtools.read_outcome(tail.body))
        case EntryKind.ASSISTANT:
            return _after_answer(history, tail)
        case EntryKind.USER:
            return _after_results(history, tail)
        case EntryKind.HEAD:
            return Begin()


def _after_answer(history: History, answer: Entry) -> Step:
    if tool_uses(answer):
        return Act(answer)
    if answer.call and answer.call.stop_reason == "refusal":
        return Close(Outcome(BuildState.FAILED, "The model refused to go on with this build."))
    if guards.stalls(history) >= guards.MAX_STALLS:
        return Close(Outcome(BuildState.FAILED, "The agent stopped without finishing, even when asked to go on."))
    return Nudge()


def _after_results(history: History, message: Entry) -> Step:
    if (outcome := _finished(history, message)) is not None:
        return Close(outcome)
    if escalation.open_question(history):
        return Await()
    if guards.turns(history) >= guards.MAX_TURNS:
        return Close(Outcome(BuildState.FAILED, f"The build took {guards.MAX_TURNS} turns and was not finished."))
    return Think()


def _finished(history: History, message: Entry) -> Outcome | None:
    """The outcome, when the answer before these results called `finish` and it was accepted."""
    answer = history.entries[message.sequence - 2]
    if answer.kind is not EntryKind.ASSISTANT:
        return None
    for use, result in zip(tool_uses(answer), tool_results(message), strict=False):
        if use.name == "finish" and not result.failed:
            return localtools.outcome_of(use)
    return None


class Verdict(enum.Enum):
    """What a take-over does with a hold that it finds."""

    SETTLE = "settle"
    RELEASE = "release"
    CHARGE = "charge"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Decision:
    """One hold and what becomes of it, with the usage and the tools to settle and the reason to note."""

    rid: str
    verdict: Verdict
    usage: Usage | None = None
    reason: str = ""
    tools: tuple[str, ...] = ()


def decide_holds(history: History, holds: Iterable[Hold], operations: Sequence[Operation]) -> tuple[Decision, ...]:
    """What becomes of every hold; an overcharge is at most one hold a take-over, an undercharge never is."""
    logged = {entry.call.rid: entry for entry in history.entries if entry.call and not entry.is_inherited}
    open_tail = _unfinished(history, operations)
    decisions = []
    for hold in holds:
        if (answer := logged.get(hold.rid)) is not None and answer.call is not None:
            decisions.append(Decision(hold.rid, Verdict.SETTLE, usage=answer.call.usage, tools=tools_of(answer)))
        elif hold.state is HoldState.EXPIRED:
            decisions.append(Decision(hold.rid, Verdict.LEAVE))
        elif hold.earmark:
            decisions.append(Decision(hold.rid, Verdict.RELEASE, reason="earmark"))
        elif history.head < hold.needs_sequence or (open_tail and hold.needs_sequence == history.head):
            decisions.append(Decision(hold.rid, Verdict.RELEASE, reason="never sent"))
        else:
            decisions.append(Decision(hold.rid, Verdict.CHARGE, reason="take-over"))
    return tuple(decisions)


def _unfinished(history: History, operations: Sequence[Operation]) -> bool:
    """Whether a changing tool call of the tail has no result, so that no call can have been sent after it."""
    tail = history.tail
    if tail is None or tail.kind is not EntryKind.ASSISTANT or tail.call is None:
        return False
    closed = {operation.op_id for operation in operations if operation.state in _CLOSED}
    changing = (use for use in tool_uses(tail) if _is_changing(use))
    return any(op_id(tail, use) not in closed for use in changing)


def _is_changing(use: Use) -> bool:
    if use.name in localtools.NAMES or not use.is_complete:
        return False
    try:
        return not isinstance(parse(use.name, use.input), READ_ONLY)
    except BadToolInput:
        return False


def op_id(answer: Entry, use: Use) -> str:
    """The id of a tool call, of our own making: providers repeat theirs."""
    assert answer.call is not None
    return f"{answer.call.rid}/{use.index}"


def lost_note(history: History, operations: Iterable[Operation]) -> str | None:
    """What the agent must be told of operations whose effect is gone; None when it was told, or there is nothing."""
    lost = [operation.op_id for operation in operations if operation.state is OperationState.LOST]
    told = b"".join(entry.body for entry in history.entries if entry.kind is EntryKind.USER) if lost else b""
    untold = [each for each in lost if each.encode() not in told]
    if not untold:
        return None
    return (
        "The sandbox was lost and its files were restored from the newest snapshot. The effects of these tool calls "
        f"are missing: {', '.join(untold)}. Look at the files and do again what is needed."
    )
