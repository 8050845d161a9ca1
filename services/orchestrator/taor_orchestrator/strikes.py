"""How often the agent has met the same failure, and when it must ask instead of trying on. Pure, from the log alone.

Only commands count: they are where an approach proves itself. A command that fails the same way again is a strike when
nothing was changed in between, else another approach to the same problem. What it was told is kept in the log, so
neither a crash nor a night's sleep forgets it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from taor_orchestrator import escalation
from taor_orchestrator.history import EntryKind, History
from taor_orchestrator.toolset import FILE_CHANGING
from taor_orchestrator.transcript import ToolAnswer, Use, tool_results, tool_uses

MAX_APPROACHES = 3
"""Different approaches to one failure; after the last one the agent has to ask its user."""
MAX_STRIKES = 3
"""Runs of one command to the same failure with nothing changed in between."""
SIGNATURE_LINES = 30
"""How many lines, from its end, tell what a failure is."""

_ENDED_BADLY = re.compile(r"\[The command (?:ended with status \d+\.|did not end within \d+ s)[^\n]*\]\s*\Z")
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+")

_ASK = (
    f"Not run: {MAX_APPROACHES} different approaches have ended in the same failure. Ask your user with `escalate`: "
    "what you tried, what could be done, what you would do. Until then you can only read, or finish with the outcome "
    "`failed`."
)
_CHANGE_SOMETHING = (
    f"Not run: this command has ended {MAX_STRIKES} times in the same failure, and nothing was changed in between. "
    "Change something first, or look for another way."
)

Approach = tuple[str, int]
"""A command, and how many changes had been made before it."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the log tells of failures, up to an entry: for each failure its approaches, and how often each was run."""

    head: int = 0
    changes: int = 0
    failures: Mapping[str, Mapping[Approach, int]] = field(default_factory=dict)


def follow(record: Record, history: History) -> Record:
    """The record up to the end of `history`, of which it knows the beginning."""
    for entry in history.entries[record.head :]:
        answer = history.entries[entry.sequence - 2]
        if entry.kind is EntryKind.USER and answer.kind is EntryKind.ASSISTANT:
            was_stuck = _is_stuck(record)
            for use, result in zip(tool_uses(answer), tool_results(entry), strict=False):
                record = _after(record, use, result, was_stuck=was_stuck)
    return replace(record, head=history.head)


def refusal(record: Record, use: Use) -> str | None:
    """Why a call that could change something is not run; None when it may."""
    if _is_stuck(record):
        return _ASK
    approach = (str(use.input.get("command")), record.changes)
    if use.name == "bash" and any(runs.get(approach, 0) >= MAX_STRIKES for runs in record.failures.values()):
        return _CHANGE_SOMETHING
    return None


def signature(command: str, text: str) -> str | None:
    """The same for failures that differ only in numbers; None for what is no failure of a command, but of its run."""
    ended = _ENDED_BADLY.search(text)
    if ended is None:
        return None
    lines = [" ".join(line.split()) for line in text[: ended.start()].splitlines() if line.strip()]
    told = "\n".join(lines[-SIGNATURE_LINES:]) or command  # a silent failure is its command's own
    return hashlib.sha256(_VARIABLE.sub("0", told).encode()).hexdigest()


def _is_stuck(record: Record) -> bool:
    return any(len(runs) >= MAX_APPROACHES for runs in record.failures.values())


def _after(record: Record, use: Use, result: ToolAnswer, *, was_stuck: bool) -> Record:
    if use.name == escalation.TOOL and not result.failed:
        return replace(record, failures={})
    if use.name in FILE_CHANGING and not result.failed:
        return replace(record, changes=record.changes + 1)
    if use.name != "bash" or was_stuck:
        return record
    command = str(use.input.get("command"))
    if not result.failed:
        overcome = {name: runs for name, runs in record.failures.items() if all(tried != command for tried, _ in runs)}
        return replace(record, changes=record.changes + 1, failures=overcome)
    if (failure := signature(command, result.text)) is None:
        return record
    runs, approach = record.failures.get(failure, {}), (command, record.changes)
    return replace(record, failures={**record.failures, failure: {**runs, approach: runs.get(approach, 0) + 1}})
