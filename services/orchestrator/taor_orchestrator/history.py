"""The log of a build as the loop reads it: immutable entries, and what the next step can see of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime

from taor_orchestrator.model.port import Usage


class EntryKind(enum.Enum):
    """What an entry of the log is."""

    HEAD = "HEAD"
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    OUTCOME = "OUTCOME"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The call that an ASSISTANT entry answers; `rid` is `{build_id}/{epoch}/{k}`."""

    rid: str
    request_sha256: bytes
    model: str
    max_output_tokens: int
    usage: Usage | None
    stop_reason: str
    price_id: str
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log; `body` is the JSON as it is sent to the model, and never changes."""

    sequence: int
    segment: int
    epoch: int
    kind: EntryKind
    body: bytes
    inbox_ids: tuple[str, ...] = ()
    call: ModelCall | None = None
    append_time: datetime | None = None
    """When it was appended; None for one that this worker has just made."""
    origin_build_id: str = ""
    """The build that wrote it, where a fork has inherited it."""

    @property
    def is_inherited(self) -> bool:
        """Whether it was there before the build was: nothing of it is the build's own to pay for or to tell."""
        return bool(self.origin_build_id)


@dataclass(frozen=True, slots=True)
class History:
    """The entries of a build in order, from the first; growing it gives a new history that shares the old entries."""

    entries: tuple[Entry, ...] = field(default=())

    @property
    def head(self) -> int:
        """The sequence of the last entry; 0 for an empty log."""
        return self.entries[-1].sequence if self.entries else 0

    @property
    def tail(self) -> Entry | None:
        """The last entry."""
        return self.entries[-1] if self.entries else None

    def of(self, kind: EntryKind) -> list[Entry]:
        """The entries of one kind, in order."""
        return [entry for entry in self.entries if entry.kind is kind]

    def grow(self, *entries: Entry) -> History:
        """This history with `entries` after it; their sequences must go on without a gap."""
        for expected, entry in enumerate(entries, start=self.head + 1):
            if entry.sequence != expected:
                raise ValueError(f"entry {entry.sequence} cannot follow {expected - 1}")
        return replace(self, entries=self.entries + entries)
