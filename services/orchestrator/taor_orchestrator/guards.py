"""Pure limits on what a build may do: how long it goes on, how often it may stall, when it may call itself finished."""

from __future__ import annotations

from collections.abc import Iterator

from taor_orchestrator.history import EntryKind, History
from taor_orchestrator.toolset import FILE_CHANGING
from taor_orchestrator.transcript import Use, tool_uses

MAX_TURNS = 1_000
"""Turns of one build."""
MAX_STALLS = 3
"""Answers in a row that call no tool."""


def turns(history: History) -> int:
    """How many answers the model has given to this build."""
    return sum(not answer.is_inherited for answer in history.of(EntryKind.ASSISTANT))


def stalls(history: History) -> int:
    """How many answers in a row, up to the last one, called no tool."""
    count = 0
    for entry in reversed(history.entries):
        if entry.kind is EntryKind.ASSISTANT:
            if tool_uses(entry):
                break
            count += 1
    return count


def unverified(history: History) -> str | None:
    """Why the build may not be called finished: a file changed after the last command; None when it may."""
    for use in _newest_first(history):
        if use.name == "bash":
            return None
        if use.name in FILE_CHANGING:
            return "Files changed after the last command. Run the command that proves your work, then finish."
    return None


def _newest_first(history: History) -> Iterator[Use]:
    for entry in reversed(history.entries):
        if entry.kind is EntryKind.ASSISTANT:
            yield from reversed(tool_uses(entry))
