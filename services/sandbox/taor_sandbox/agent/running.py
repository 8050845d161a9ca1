"""A claimed command from the start of its shell to its exit record."""

import os
import time

from taor_sandbox.agent import processes
from taor_sandbox.agent.exec import OUTPUTS
from taor_sandbox.agent.journal import CommandRecord
from taor_sandbox.agent.messages import Claim


class Running:
    """A command whose shell has not ended."""

    def __init__(self, claim: Claim, folder: str, pid: int) -> None:
        self.claim = claim
        self.pid = pid
        self.deadline = None if claim.timeout_seconds is None else time.monotonic() + claim.timeout_seconds
        self._started = time.monotonic()
        self._outputs = [f"{folder}/{name}" for name in OUTPUTS]
        self._ending = "EXITED"

    def kill(self, ending: str) -> None:
        """Kill its whole tree; the first reason is the one that is recorded."""
        self._ending = ending if self._ending == "EXITED" else self._ending
        processes.kill_tree(self.claim.op_id, self.pid)

    def is_over_output(self) -> bool:
        """Whether one of its outputs is longer than it may be."""
        return max(self.output_sizes()) > self.claim.output_bytes

    def output_sizes(self) -> list[int]:
        """How long its two outputs are now."""
        return [_size(path) for path in self._outputs]

    def record(self, wait_status: int, cwd: str | None) -> CommandRecord:
        """Its exit record. An output that went over its limit before the watch saw it is cut, and said."""
        if self.is_over_output():
            self._ending = "OUTPUT_LIMIT" if self._ending == "EXITED" else self._ending
        stdout, stderr = (_cut(path, self.claim.output_bytes) for path in self._outputs)
        elapsed = round(time.monotonic() - self._started, 6)
        return CommandRecord(shell_status(wait_status), self._ending, cwd, stdout, stderr, elapsed)


def shell_status(wait_status: int) -> int:
    """The number that a shell gives to the end of a process: 128 + n after signal n."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return 0


def _cut(path: str, limit: int) -> int:
    size = _size(path)
    if size > limit:
        os.truncate(path, limit)
    return min(size, limit)
