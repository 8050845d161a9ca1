"""Questions that the agent cannot decide by itself: what it must say with one, and which one is open. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taor_orchestrator.history import EntryKind, History
from taor_orchestrator.transcript import Use, tool_results, tool_uses

TOOL = "escalate"
ASKED = "Your user was asked. The build rests until the answer is there; it stands in the next message."
MAX_OPTIONS = 10


@dataclass(frozen=True, slots=True)
class Question:
    """What the agent asks, what it has tried, what could be done, and what it would do."""

    question: str
    tried: str
    options: tuple[str, ...]
    recommendation: str


def question_of(use: Use) -> Question:
    """The question of an accepted call."""
    options = use.input["options"]
    assert isinstance(options, list)
    return Question(
        str(use.input["question"]), str(use.input["tried"]), tuple(options), str(use.input["recommendation"])
    )


def problem(use: Use, earlier: Sequence[Use]) -> str | None:
    """Why a call is refused, in a sentence for the model; None when it is accepted. `earlier` are of its answer."""
    if any(each.name == TOOL for each in earlier):
        return "Ask one question at a time; what belongs together goes into one."
    for name in ("question", "tried", "recommendation"):
        if not isinstance(use.input.get(name), str) or not use.input[name]:
            return f"{TOOL} needs `{name}` as a string that is not empty."
    options = use.input.get("options")
    if (
        not isinstance(options, list)
        or len(options) > MAX_OPTIONS
        or not all(isinstance(each, str) for each in options)
    ):
        return f"{TOOL} needs `options` as a list of at most {MAX_OPTIONS} strings."
    return None


def open_question(history: History) -> int:
    """The sequence of the entry that tells the agent that its question was asked, if that is the last; else 0."""
    tail = history.tail
    if tail is None or tail.kind is not EntryKind.USER or tail.sequence < 2:
        return 0
    answer = history.entries[tail.sequence - 2]
    if answer.kind is not EntryKind.ASSISTANT:
        return 0
    answered = zip(tool_uses(answer), tool_results(tail), strict=False)
    return tail.sequence if any(use.name == TOOL and not result.failed for use, result in answered) else 0
