"""Starting and ending the agent of a sandbox, so that never two live in one folder.

The agent holds the folder's lock for as long as it lives. Its processes may outlive the lock by a moment, hence the
look at its pid as well. Neither is lost when this service is killed: a sandbox that is found again is simply dialled.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from taor_sandbox.agent import messages
from taor_sandbox.agent.handover import Occupied, make_room
from taor_sandbox.backends.errors import BackendUnavailable, OtherRelease, SandboxUnreachable
from taor_sandbox.backends.local import seccomp
from taor_sandbox.backends.local.bwrap import Descriptors, Launcher
from taor_sandbox.backends.local.folder import Folder, State
from taor_sandbox.backends.local.wire import Link

_START_SECONDS = 20.0
_END_SECONDS = 15.0
_PATIENCE_SECONDS = 3.0
_POLL_SECONDS = 0.005
_BACKLOG = 16


async def connect(launcher: Launcher, folder: Folder) -> Link:
    """A connection with the sandbox's agent, which is started when none lives."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        lock = folder.try_lock()
        try:
            if lock is not None:
                return await _start(launcher, folder, lock, deadline)
            return await _greet(Link.connect(folder))
        except SandboxUnreachable:
            if time.monotonic() > deadline:
                raise
        finally:
            if lock is not None:
                os.close(lock)
        await _make_room(folder)
        await asyncio.sleep(_POLL_SECONDS)


@contextlib.asynccontextmanager
async def ended(folder: Folder, epoch: int | None = None, *, only_idle: bool = False) -> AsyncIterator[None]:
    """End the agent with all that runs inside; while this is held, no new one can be started.

    Raises StaleEpoch, and ends nothing, when the agent has seen a higher epoch than one that is named; SandboxBusy
    when something runs that `only_idle` spares; OtherRelease when an epoch is named to an agent that does not know our
    words."""
    begun = time.monotonic()
    state = folder.read_state()
    while (lock := folder.try_lock()) is None:
        waited = time.monotonic() - begun
        if waited > _END_SECONDS:
            raise SandboxUnreachable(f"the processes of {state.key} did not end")
        if folder.socket.exists():
            await _ask_to_end(folder, messages.Shutdown(epoch, only_idle))
            may_kill = waited > _PATIENCE_SECONDS and not only_idle
        else:  # one of another release cannot be told an epoch, so it is ended only for good
            may_kill = epoch is None
            if waited > _PATIENCE_SECONDS and not may_kill:
                raise OtherRelease(f"an agent of another release lives in {state.key}")
        if may_kill:
            kill_agent(state)
        await asyncio.sleep(_POLL_SECONDS)
    try:
        await _wait_gone(state, begun + _END_SECONDS)
        yield
    finally:
        os.close(lock)


async def _start(launcher: Launcher, folder: Folder, lock: int, deadline: float) -> Link:
    state = folder.read_state()
    await _wait_gone(state, deadline)
    # Not a pipe: when this service is killed now, its broken end would kill bubblewrap between the agent and its go.
    info = messages.memory_file(b"")
    try:
        _spawn(launcher, folder, state, lock, info)
        link = await _greet(Link.connect(folder))
        pid = int(json.loads(messages.read_memory(info))["child-pid"])
    except SandboxUnreachable as error:
        complaint = folder.log.read_text(errors="replace")[-2000:]
        raise BackendUnavailable(f"the sandbox did not start: {complaint or error}") from error
    finally:
        os.close(info)
    try:
        folder.write_state(replace(state, agent_pid=pid, agent_start=_start_time(pid)))
    except OSError:  # one that nobody knows by its pid could not be killed
        link.close()
        await _ask_to_end(folder, messages.Shutdown(None, False))
        raise
    return link


def _spawn(launcher: Launcher, folder: Folder, state: State, lock: int, info: int) -> None:
    """Start bubblewrap in a session of its own: it must outlive this service."""
    listener = _listen(folder)
    filter_program = messages.memory_file(seccomp.program())
    descriptors = Descriptors(listener=listener.fileno(), lock=lock, seccomp=filter_program, info=info)
    try:
        command = launcher.command(folder, state.uid, state.limits, descriptors)
        for fd in (descriptors.listener, lock, filter_program, info):
            os.set_inheritable(fd, True)
        launcher.monitors.add(os.posix_spawn(command[0], command, {}, file_actions=_stdio(folder), setsid=True))
    finally:
        os.set_inheritable(lock, False)
        os.close(filter_program)
        listener.close()


def _stdio(folder: Folder) -> list[tuple[int, int, str, int, int] | tuple[int, int, int]]:
    log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(folder.log), log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]


def _listen(folder: Folder) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for left in folder.sockets():
        left.unlink()
    with folder.short(folder.socket) as path:
        listener.bind(path)
    listener.listen(_BACKLOG)
    return listener


async def _greet(link: Link) -> Link:
    """Make sure that an agent reads at the other end."""
    try:
        await link.call(messages.Nonce, messages.ReadNonce(), seconds=_START_SECONDS)
    except BaseException:  # a cancelled greeting must hang up too
        link.close()
        raise
    return link


async def _make_room(folder: Folder) -> None:
    """Ask agents of other releases to end; raises OtherRelease where that may not be."""
    for other in folder.sockets():
        if other != folder.socket:
            with folder.short(other) as address:
                try:
                    await asyncio.to_thread(make_room, address)
                except Occupied as error:
                    raise OtherRelease(str(error)) from error


async def _ask_to_end(folder: Folder, request: messages.Shutdown) -> None:
    try:
        link = Link.connect(folder)
    except SandboxUnreachable:
        return
    try:
        with contextlib.suppress(SandboxUnreachable):  # it hangs up as it ends
            await link.call(messages.Done, request, seconds=_PATIENCE_SECONDS)
    finally:
        link.close()


async def _wait_gone(state: State, deadline: float) -> None:
    while _is_alive(state):
        if time.monotonic() > deadline:
            raise SandboxUnreachable(f"the processes of {state.key} did not end")
        await asyncio.sleep(_POLL_SECONDS)


def kill_agent(state: State) -> None:
    """End the agent from outside, and with it all that runs in its sandbox; the files stay."""
    if _is_alive(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.agent_pid, signal.SIGKILL)


def _is_alive(state: State) -> bool:
    """Whether the agent that the state names still runs; a zombie does not, and what it led is dead by then."""
    fields = _stat(state.agent_pid)
    return bool(fields) and state.agent_pid > 0 and fields[19] == state.agent_start and fields[0] != "Z"


def _start_time(pid: int) -> str:
    return (_stat(pid) or [""] * 20)[19]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
