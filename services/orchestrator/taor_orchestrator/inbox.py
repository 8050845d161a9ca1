"""What people tell a build, and how the agent reads it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from taor_orchestrator.history import History


class TextKind(enum.Enum):
    """What a text is to the build."""

    STEER = "STEER"
    ANSWER = "ANSWER"


@dataclass(frozen=True, slots=True)
class InboxText:
    """Something that a person has told the build; nobody has vouched for what it says."""

    inbox_id: str
    kind: TextKind
    text: str


@dataclass(frozen=True, slots=True)
class Signals:
    """What waits for the worker of a build."""

    cancel_requested: bool
    pause_requested: bool
    inbox_waiting: bool


def as_read(item: InboxText) -> str:
    """The text as the agent reads it."""
    match item.kind:
        case TextKind.STEER:
            return f"Your user adds: {item.text}"
        case TextKind.ANSWER:
            return f"Answer from your user: {item.text}"
        case _:
            assert_never(item.kind)


def unread(history: History, items: Iterable[InboxText]) -> tuple[InboxText, ...]:
    """Those that no entry of the log carries: their marks may lag behind it."""
    carried = {inbox_id for entry in history.entries for inbox_id in entry.inbox_ids}
    return tuple(item for item in items if item.inbox_id not in carried)
