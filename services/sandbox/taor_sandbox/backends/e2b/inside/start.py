"""Finds the agent of this sandbox, or starts it: at most one lives, it holds a lock for as long as it does."""

import fcntl
import json
import os
import signal
import socket
import sys
import time

from taor_sandbox.agent import processes
from taor_sandbox.agent.config import Config
from taor_sandbox.agent.handover import make_room
from taor_sandbox.backends.e2b.inside import layout, refusals
from taor_sandbox.backends.e2b.inside.link import REPLY_SECONDS, Link
from taor_sandbox.egress.variables import proxy_variables

AGENT = "agent"
"""The bridge's argument that makes it the agent."""
_START_SECONDS = 20.0
_POLL_SECONDS = 0.01
_BACKLOG = 64
_SHELL_NOISE = ("PWD", "OLDPWD", "SHLVL", "_", processes.BRIDGE_VARIABLE)
_OF_MEMORY = 0.9
"""Share of the machine's memory that commands may have before the largest is killed with a reason."""


def connect(agent: str) -> Link:
    """A connection with the agent of this release; one of another ends first. Raises Occupied where that may not be."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        sock = _dial(agent)
        if sock is not None:
            return Link(sock)
        lock = _try_lock()
        if lock is not None:
            try:
                _start(agent, lock)
            finally:
                os.close(lock)
        elif time.monotonic() > deadline:
            raise TimeoutError("an agent lives, and does not listen")
        else:
            _make_room(agent)
        time.sleep(0 if lock is not None else _POLL_SECONDS)


def _make_room(agent: str) -> None:
    """Ask agents of other releases to end; this bridge may end with what they end, and is sent again."""
    for address in layout.sockets():
        if address != layout.socket_of(agent):
            make_room(address)


def _dial(agent: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(REPLY_SECONDS)
    try:
        sock.connect(layout.socket_of(agent))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    return sock


def _try_lock() -> int | None:
    lock = os.open(layout.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _start(agent: str, lock: int) -> None:
    """Start the agent in a session of its own, away from the exec that carries this bridge; the teller before it."""
    _end_leftovers()
    refusals.start_teller()
    for left in layout.sockets():
        os.unlink(left)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(layout.socket_of(agent))
    listener.listen(_BACKLOG)
    for fd in (listener.fileno(), lock):
        os.set_inheritable(fd, True)
    config = json.dumps(_config(agent))
    argv = [sys.executable, "-I", "-S", layout.library(), AGENT, str(listener.fileno()), str(lock), config]
    log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    stdio = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, layout.LOG, log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    os.posix_spawn(sys.executable, argv, _environment(), file_actions=stdio, setsid=True)
    listener.close()


def _end_leftovers() -> None:
    """What an agent that was killed has left running belongs to nobody: its claims are dead. The teller begins anew."""
    marks = [f"{name}=".encode() for name in (processes.OP_VARIABLE, refusals.TELLER_VARIABLE)]
    while leftovers := [p.pid for p in processes.scan() if any(processes.is_marked(p.pid, mark) for mark in marks)]:
        processes.send(leftovers, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _config(agent: str) -> Config:
    with open(layout.config_of(agent), encoding="utf-8") as file:
        config = Config(*json.load(file))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    env = _environment() | (proxy_variables() if refusals.allowed() else {})
    return config._replace(env=env, memory_bytes=min(config.memory_bytes, int(memory * _OF_MEMORY)))


def _environment() -> dict[str, str]:
    """What the template gives every command, and our programs at the end of its path.

    Python's compiled files hold the times of their sources: after a redo they would be other files than before.
    """
    env = {name: value for name, value in os.environ.items() if name not in _SHELL_NOISE}
    path = f"{env.get('PATH', '/usr/bin:/bin')}:{layout.library()}/bin"
    return env | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
