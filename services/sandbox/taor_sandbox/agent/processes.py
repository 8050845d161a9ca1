"""The processes of the sandbox as /proc shows them, and how to end the ones that belong together.

An operation's processes carry `TAOR_OP` in their environment; a process that drops it is still found by its session and
by its parents. Only one that drops all three outlives its operation, and none outlives the sandbox.
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

OP_VARIABLE = "TAOR_OP"
BRIDGE_VARIABLE = "TAOR_BRIDGE"
"""Marks what carries messages between a service and the agent; a freeze must not stop it."""
_KILL_SECONDS = 2.0


class Process(NamedTuple):
    """One line of /proc/<pid>/stat."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    threads: int

    @property
    def has_ended(self) -> bool:
        """A zombie has; but one whose other threads still run holds its files and sockets."""
        return self.state in "ZX" and self.threads <= 1


def scan() -> list[Process]:
    """Every process but this one that has not ended."""
    found = (_read(int(name)) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())
    return [process for process in found if process is not None and not process.has_ended]


def members(op_id: str, leader: int, known: Collection[int] = ()) -> list[Process]:
    """The processes of an operation: known ones, by environment, by session or group of its shell, all descendants."""
    everybody = scan()
    mark = f"{OP_VARIABLE}={op_id}".encode()
    found = {
        p.pid
        for p in everybody
        if p.pid in known or leader in (p.pid, p.group, p.session) or mark in _environment(p.pid)
    }
    family = _with_descendants(found, everybody)
    return [p for p in everybody if p.pid in family]


def strays(leaders: Collection[int]) -> list[Process]:
    """The processes that belong to nobody: without any mark, and of none of these shells."""
    everybody, shells = scan(), set(leaders)
    owned = {p.pid for p in everybody if shells & {p.pid, p.group, p.session} or operation_of(p.pid)}
    families = _with_descendants(owned, everybody)
    return [p for p in everybody if p.pid not in families]


def _with_descendants(found: set[int], everybody: Collection[Process]) -> set[int]:
    family = set(found)
    while children := {p.pid for p in everybody if p.parent in family} - family:
        family |= children
    return family


def kill_tree(op_id: str, leader: int) -> None:
    """Kill an operation's processes and return when they are gone."""
    _kill_all(lambda killed: members(op_id, leader, killed))


def kill_strays(leaders: Collection[int]) -> None:
    """Kill what belongs to none of these shells, nor to any operation, and return when it is gone."""
    _kill_all(lambda _: strays(leaders))


def _kill_all(find: Callable[[Collection[int]], Collection[Process]]) -> None:
    """Kill whatever is found until nothing is; stopped first, so that it cannot fork on."""
    deadline = time.monotonic() + _KILL_SECONDS
    killed: set[int] = set()  # a dying process has no environment any more
    while alive := [p.pid for p in find(killed)]:
        send(alive, signal.SIGSTOP)
        send(alive, signal.SIGKILL)
        killed.update(alive)
        if time.monotonic() > deadline:
            kill_everything()
            return
        time.sleep(0.001)


def kill_everything() -> None:
    """Kill all that runs in the sandbox but the agent; one call, which no fork can outrun."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return


def stop_all() -> list[int]:
    """Stop every process; returns those that ran. Goes round until a look finds none that was missed."""
    bridge = f"{BRIDGE_VARIABLE}=1".encode()
    stopped: list[int] = []
    while running := [
        p.pid for p in scan() if p.state not in "Tt" and p.pid not in stopped and not is_marked(p.pid, bridge)
    ]:
        send(running, signal.SIGSTOP)
        stopped += running
    return stopped


def is_marked(pid: int, mark: bytes) -> bool:
    """Whether a variable of a process's environment begins like this."""
    return any(variable.startswith(mark) for variable in _environment(pid))


def operation_of(pid: int) -> str:
    """The operation or helper whose mark a process carries; "" when none."""
    mark = f"{OP_VARIABLE}=".encode()
    marks = (variable.removeprefix(mark) for variable in _environment(pid) if variable.startswith(mark))
    return next(marks, b"").decode(errors="replace")


def resume(pids: Iterable[int]) -> None:
    """Let stopped processes go on."""
    send(pids, signal.SIGCONT)


def memory_bytes(pid: int) -> int:
    """Private memory of a process plus what it shares through memory files; 0 when it is gone."""
    total = 0
    for line in _read_bytes(f"/proc/{pid}/status").splitlines():
        if line.startswith((b"RssAnon:", b"RssShmem:")):
            total += int(line.split()[1]) * 1024
    return total


def _read(pid: int) -> Process | None:
    fields = _read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if not fields:
        return None
    return Process(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[17]))


def _environment(pid: int) -> list[bytes]:
    return _read_bytes(f"/proc/{pid}/environ").split(b"\0")


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to every process that is still there and ours."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):  # gone, or the machine's own (where the agent is not alone)
            continue
