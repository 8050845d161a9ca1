"""What a client writes down for itself: one line for each thing it wants, and for each answer it was given."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Event(Enum):
    """What a line is about."""

    WANTED = "wanted"  # a call that the client would make: what it will cost, and how long it will take
    HELD = "held"  # the ledger granted it: how much
    SETTLED = "settled"  # the ledger booked what it used
    CHARGED = "charged"  # the ledger booked all of the hold, because nobody knew what was used
    TOPPED_UP = "topped_up"
    BROKEN = "broken"  # an answer that no client should get; `subject` says which


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a history."""

    event: Event
    at_seconds: float
    subject: str
    microdollars: int = 0
    tokens: int = 0  # of the answer: wanted, or carried by what is held
    lasts_seconds: float = 0.0

    def __str__(self) -> str:
        fields = (self.event.value, self.at_seconds, self.subject, self.microdollars, self.tokens, self.lasts_seconds)
        return "\t".join(map(str, fields)) + "\n"


class Diary:
    """The history of one client while it lives; it outlives its client's kill -9, line by line."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, line: Line) -> None:
        """Add a line in one write, so that a kill leaves all of it or nothing."""
        os.write(self._file, str(line).encode())


def read(paths: Iterable[Path]) -> Iterator[Line]:
    """Every line of these histories, in the order of each."""
    for path in paths:
        for text in path.read_text("utf-8").splitlines():
            event, at, subject, microdollars, tokens, lasts = text.split("\t")
            yield Line(Event(event), float(at), subject, int(microdollars), int(tokens), float(lasts))
