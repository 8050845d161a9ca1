"""The turns of a log: which are closed, and of which the files are kept. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from taor_orchestrator.events import Documented, derive, summary_of
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.transcript import texts, tool_uses


@dataclass(frozen=True, slots=True)
class Turn:
    """A closed turn: an answer of the model with the results of all its tool calls."""

    number: int
    answer: Entry
    head: int
    """The last entry of it."""

    @property
    def log_sequence(self) -> int:
        """The entry of the answer; its operations carry this number."""
        return self.answer.sequence

    @property
    def tool_calls(self) -> int:
        """How many tool calls the answer has."""
        return len(tool_uses(self.answer))

    @property
    def summary(self) -> str:
        """What the agent said, or else its first tool call, in one line."""
        said = " ".join(" ".join(texts(self.answer)).split())
        calls = tool_uses(self.answer)
        if said or not calls:
            return summary_of({"message": said})
        return f"{calls[0].name} {summary_of(calls[0].input)}".rstrip()


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot: it holds the files from the operation that it covers up to the next one."""

    covers_sequence: int
    next_sequence: int
    """The log entry of the next operation; 0 when there is none."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The snapshots of a build, and the log entry of its first operation; 0 when there is none."""

    kept: tuple[Kept, ...]
    first_sequence: int

    def has(self, turn: Turn) -> bool:
        """Whether the files are known exactly as they stood after a turn; up to the first operation there are none."""
        at = turn.log_sequence
        if any(
            each.covers_sequence <= at and (at < each.next_sequence or not each.next_sequence) for each in self.kept
        ):
            return True
        return at < self.first_sequence or not self.first_sequence


class ChangeKind(enum.Enum):
    """How a file differs; the names are those of the contract."""

    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file or link that differs between two turns."""

    path: str
    kind: ChangeKind
    before_bytes: int
    after_bytes: int
    text_diff: str
    text_diff_cut: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Some files that differ between two turns, and how many more do."""

    changes: tuple[FileChange, ...]
    left_out: int


def closed_turns(history: History) -> Iterator[Turn]:
    """The turns whose tool calls are all answered, in order."""
    number = 0
    for entry in history.entries:
        if entry.kind is EntryKind.ASSISTANT:
            number += 1
            if not tool_uses(entry):
                yield Turn(number, entry, entry.sequence)
            elif entry.sequence < history.head and _follows(history, entry).kind is EntryKind.USER:
                yield Turn(number, entry, entry.sequence + 1)


def _follows(history: History, entry: Entry) -> Entry:
    return history.entries[entry.sequence]


def in_ranges(numbers: Iterable[int]) -> str:
    """Turn numbers for people: `1, 3–5`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join("–".join(map(str, each)) for each in ranges)


def documents_of(history: History) -> Sequence[tuple[str, str]]:
    """The sections of documentation that a log has written, each with its last content."""
    written = (each.event for each in derive(history, 0))
    return tuple({each.section: each.content for each in written if isinstance(each, Documented)}.items())
