"""Faults that are armed from outside and strike the next requests they fit."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

MAX_ARMED = 1_000


class FaultKind(enum.Enum):
    """What goes wrong."""

    BAD_GATEWAY = "bad_gateway"
    """502 before anything was done, in words that do not say whether the sandbox lives."""
    BUSY = "busy"
    """503 before anything was done."""
    RATE_LIMITED = "rate_limited"
    """429 before anything was done."""
    CUT_STREAM = "cut_stream"
    """The connection ends after `after_bytes` of the answer; what was started goes on."""
    LOST_ANSWER = "lost_answer"
    """The request is carried out to its end, and the connection ends instead of an answer."""
    SLOW = "slow"
    """The answer comes `seconds` late, after the request was carried out."""
    DEATH = "death"
    """The sandbox of the request is destroyed before it is answered."""
    LOST_CHANGES = "lost_changes"
    """A pause keeps the files as they were at the pause before (E2B issue 884), or at the creation; and no process."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for the requests whose path contains `path`."""

    kind: FaultKind
    path: str = ""
    skip: int = 0
    """How many fitting requests pass unharmed first."""
    times: int = 1
    after_bytes: int = 0
    seconds: float = 1.0


@dataclass(slots=True)
class _Armed:
    fault: Fault
    skip: int
    left: int


class Faults:
    """The faults that are armed; each request is struck by the first that fits."""

    def __init__(self) -> None:
        self._armed: deque[_Armed] = deque(maxlen=MAX_ARMED)

    def arm(self, fault: Fault) -> None:
        """Let it strike `fault.times` fitting requests."""
        self._armed.append(_Armed(fault, fault.skip, fault.times))

    def disarm(self) -> None:
        """Forget what was armed."""
        self._armed.clear()

    def strike(self, path: str, kinds: Collection[FaultKind]) -> Fault | None:
        """The fault of one of these kinds that hits a request, if any."""
        for armed in list(self._armed):
            if armed.fault.path not in path or armed.fault.kind not in kinds:
                continue
            if armed.skip > 0:
                armed.skip -= 1
                continue
            armed.left -= 1
            if armed.left <= 0:
                self._armed.remove(armed)
            return armed.fault
        return None
