"""What a check finds, and what a check is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taor_cli.audit.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that is not as it must be."""

    row: str
    message: str


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the protocol; `number` is that of the list in docs/protocol.md."""

    number: int
    title: str
    look: Callable[[Evidence], Iterator[Finding]]
    at_rest_only: bool = False
    """Whether it says something only of a build that nobody works on at the moment."""
    reads_log: bool = True
    """Whether it says nothing where the log cannot be read to its end."""


def log_row(sequence: int) -> str:
    """How an entry of the log is named."""
    return f"log {sequence}"
