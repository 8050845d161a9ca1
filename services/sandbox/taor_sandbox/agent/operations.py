"""What runs in the sandbox: claimed commands and helpers, from their start to their record, within their limits."""

import contextlib
import math
import os
import time
from collections.abc import Callable

from taor_sandbox.agent import processes
from taor_sandbox.agent.config import Config
from taor_sandbox.agent.exec import OUTPUTS, start_command, start_helper
from taor_sandbox.agent.journal import CommandRecord, Journal
from taor_sandbox.agent.messages import Claim, Spawn, State

_OUTPUT_CHECK_SECONDS = 0.1
_FIRST_USAGE_CHECK_SECONDS = 0.05
_SLOWEST_USAGE_CHECK_SECONDS = 2.0
_FASTEST_GROWTH_BYTES_PER_SECOND = 2 * 1024**3


class Running:
    """A claimed command whose shell has not ended."""

    def __init__(self, claim: Claim, folder: str, pid: int) -> None:
        self.claim = claim
        self.folder = folder
        self.pid = pid
        self.started = time.monotonic()
        self.deadline = None if claim.timeout_seconds is None else self.started + claim.timeout_seconds
        self.ending = "EXITED"

    def kill(self, ending: str) -> None:
        """Kill its whole tree; the first reason is the one that is recorded."""
        self.ending = ending if self.ending == "EXITED" else self.ending
        processes.kill_tree(self.claim.op_id, self.pid)


class Operations:
    """What runs. The agent is the parent of every shell, so an unfinished claim that is not in this table is dead."""

    def __init__(self, config: Config, journal: Journal, ended: Callable[[str], None]) -> None:
        self._config = config
        self._journal = journal
        self._ended = ended
        self._running: dict[int, Running] = {}
        self._helpers: dict[int, tuple[str, Callable[[int], None]]] = {}
        self._claimed: set[str] = set()
        self._usage_check_at: float | None = None

    def claim(self, request: Claim) -> bool:
        """Start a command unless its claim was made before."""
        if self.is_claimed(request.op_id):
            return False
        folder = self.make_claim(request.op_id)
        try:
            pid = start_command(request, folder, self._config)
        except OSError as error:
            self._journal.record_unstarted(request.op_id, str(error))
            return True
        self._running[pid] = Running(request, folder, pid)
        self._watch_usage()
        return True

    def is_claimed(self, op_id: str) -> bool:
        """Whether a claim was made, even if a command has deleted its folder since."""
        return op_id in self._claimed or self._journal.is_claimed(op_id)

    def make_claim(self, op_id: str) -> str:
        """Make the claim and return its folder; raises OSError when it was made before, or when the journal is gone.

        From here to the start there is only this process, and its death is the end of all others: no claim of a living
        sandbox waits for a command that was never started."""
        folder = self._journal.make_folder(op_id)
        self._claimed.add(op_id)
        return folder

    def look(self, op_id: str) -> State:
        """The state of a claim, from the exit record, the table, and the folder, in this order."""
        record = self._journal.exit(op_id)
        if record is not None:
            return State("COMMAND" if isinstance(record, CommandRecord) else "WRITE", 0, list(record))
        running = self._find(op_id)
        if running is not None:
            return State("LIVE", running.pid, [running.claim.output_bytes])
        return State("DEAD" if self.is_claimed(op_id) else "NONE", 0, [])

    def live(self) -> list[str]:
        """Operations whose shell runs."""
        return [running.claim.op_id for running in self._running.values()]

    def spawn(self, request: Spawn, fds: list[int], ended: Callable[[int], None]) -> None:
        """Start a helper; `ended` gets its exit status."""
        self._helpers[start_helper(request, fds, self._config)] = (request.helper_id, ended)
        self._watch_usage()

    def kill(self, op_id: str, ending: str) -> None:
        """Kill an operation's or a helper's processes, also those that its shell has left behind."""
        running = self._find(op_id)
        if running is not None:
            running.kill(ending)
        else:
            leaders = [pid for pid, (helper_id, _) in self._helpers.items() if helper_id == op_id]
            processes.kill_tree(op_id, leaders[0] if leaders else -1)
        self.reap()

    def reap(self) -> None:
        """Collect every process that has ended, ours and adopted ones, and record the ends that matter."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                self._record(self._running.pop(pid), status)
            elif pid in self._helpers:
                self._helpers.pop(pid)[1](_shell_status(status))

    def next_check_seconds(self) -> float | None:
        """How long the agent may sleep; None when nothing runs that has limits."""
        now = time.monotonic()
        times = [r.deadline for r in self._running.values() if r.deadline is not None]
        if self._running:
            times.append(now + _OUTPUT_CHECK_SECONDS)
        if self._usage_check_at is not None:
            times.append(self._usage_check_at)
        return max(0.0, min(times) - now) if times else None

    def check_limits(self) -> None:
        """Kill what is over its time, its output or its memory."""
        now = time.monotonic()
        for running in list(self._running.values()):
            if running.deadline is not None and now >= running.deadline:
                running.kill("TIMEOUT")
            elif _longest_output(running.folder) > running.claim.output_bytes:
                running.kill("OUTPUT_LIMIT")
        if self._usage_check_at is not None and now >= self._usage_check_at:
            self._check_usage(now)

    def _check_usage(self, now: float) -> None:
        """Look again when the fastest growth that we know of could have reached the limit."""
        used = {process.pid: processes.memory_bytes(process.pid) for process in processes.scan()}
        left = self._config.memory_bytes - sum(used.values())
        if left < 0:
            self._kill_largest(used, "MEMORY_LIMIT")
        elif len(used) > self._config.processes:
            self._kill_largest(dict.fromkeys(used, 1), "PROCESS_LIMIT")
        pause = min(
            _SLOWEST_USAGE_CHECK_SECONDS, max(_FIRST_USAGE_CHECK_SECONDS, left / _FASTEST_GROWTH_BYTES_PER_SECOND)
        )
        self._usage_check_at = now + pause if used else None

    def _kill_largest(self, used: dict[int, int], ending: str) -> None:
        """Kill the operation that uses the most; a process that belongs to none and uses more goes alone."""
        shares = {
            running.pid: sum(used.get(p.pid, 0) for p in processes.members(running.claim.op_id, running.pid))
            for running in self._running.values()
        }
        largest_process = max(used, key=lambda pid: used[pid])
        largest = max(shares, key=lambda pid: shares[pid], default=None)
        if largest is not None and shares[largest] >= used[largest_process]:
            self._running[largest].kill(ending)
        else:
            processes.kill_tree("", largest_process)

    def _record(self, running: Running, status: int) -> None:
        op_id = running.claim.op_id
        if not running.claim.background:
            processes.kill_tree(op_id, running.pid)
        with contextlib.suppress(OSError):  # its folder was deleted: the claim is dead, nobody invents its exit
            self._journal.record(op_id, self._command_record(running, status))
        self._ended(op_id)

    def _command_record(self, running: Running, status: int) -> CommandRecord:
        stdout, stderr = (_cut(f"{running.folder}/{name}", running.claim.output_bytes) for name in OUTPUTS)
        elapsed = round(time.monotonic() - running.started, 6)
        cwd = self._journal.cwd(running.claim.op_id)
        return CommandRecord(_shell_status(status), running.ending, cwd, stdout, stderr, elapsed)

    def _watch_usage(self) -> None:
        self._usage_check_at = min(self._usage_check_at or math.inf, time.monotonic() + _FIRST_USAGE_CHECK_SECONDS)

    def _find(self, op_id: str) -> Running | None:
        return next((r for r in self._running.values() if r.claim.op_id == op_id), None)


def _shell_status(wait_status: int) -> int:
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def _longest_output(folder: str) -> int:
    return max(_size(f"{folder}/{name}") for name in OUTPUTS)


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return 0


def _cut(path: str, limit: int) -> int:
    """Shorten an output that went over its limit before the watch saw it; returns the size that it has then."""
    size = _size(path)
    if size > limit:
        os.truncate(path, limit)
    return min(size, limit)
