"""Processes by number *and* start time, since the kernel gives numbers out again; read from Linux's /proc."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, told apart from a later one with the same number."""

    pid: int
    start_ticks: int
    """Clock ticks after boot, from /proc/PID/stat."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Identify a living process; None when there is none with this number."""
        status = _read_status(pid)
        return cls(pid, status.start_ticks) if status and status.state != "Z" else None

    def is_alive(self) -> bool:
        """Tell whether it still runs; a zombie does not."""
        return ProcessId.of(self.pid) == self

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive():
            try:
                os.kill(self.pid, signal_number)
            except ProcessLookupError:
                return


def descendants(pid: int) -> tuple[ProcessId, ...]:
    """List all processes below one, children before grandchildren."""
    children: dict[int, list[int]] = {}
    for each in _all_pids():
        if status := _read_status(each):
            children.setdefault(status.parent, []).append(each)
    found = [pid]
    for each in found:  # grows while it is read
        found += children.get(each, [])
    return tuple(process for each in found[1:] if (process := ProcessId.of(each)))


def zombie_children(pid: int) -> tuple[int, ...]:
    """List the children that have ended and wait to be reaped."""
    statuses = ((each, _read_status(each)) for each in _all_pids())
    return tuple(each for each, status in statuses if status and status.parent == pid and status.state == "Z")


def kill_and_wait(processes: Sequence[ProcessId], *, timeout_seconds: float) -> bool:
    """Kill the processes and wait until they are gone; False when some are still there in the end."""
    for process in processes:
        process.send(signal.SIGKILL)
    return wait_gone(processes, timeout_seconds=timeout_seconds)


def wait_gone(processes: Sequence[ProcessId], *, timeout_seconds: float) -> bool:
    """Wait until the processes are gone; False when some are still there in the end."""
    deadline = time.monotonic() + timeout_seconds
    while any(process.is_alive() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def processes_naming(text: str, *, program: str = "") -> Iterator[ProcessId]:
    """Find the processes of anybody whose command line holds the text, ourselves excepted; `program` narrows it."""
    for pid in _all_pids():
        try:
            command = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            continue
        is_meant = text in command and Path(command.split("\0")[0]).name.startswith(program)
        if is_meant and pid != os.getpid() and (process := ProcessId.of(pid)):
            yield process


@dataclass(frozen=True, slots=True)
class _Status:
    state: str
    parent: int
    start_ticks: int


def _all_pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _read_status(pid: int) -> _Status | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name stands in parentheses and may hold anything, also parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    return _Status(state=fields[0], parent=int(fields[1]), start_ticks=int(fields[19]))
