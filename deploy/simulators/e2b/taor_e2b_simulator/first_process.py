"""The first process of a sandbox: starts, signals and reaps on behalf of the simulator outside.

Nothing but the standard library: it runs inside, by the machine's own Python. One JSON object a packet, on the socket
that it inherits; the three descriptors of a new process travel beside its request.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys

MAX_PACKET_BYTES = 1024 * 1024
COULD_NOT_EXEC = 127
_MAX_FDS = 1024


def main(fd: int) -> None:
    """Serve until the simulator hangs up; the kernel kills what is left inside."""
    outside = socket.socket(fileno=fd)
    outside.set_inheritable(False)
    children = _child_signals()
    with selectors.DefaultSelector() as selector:
        selector.register(outside, selectors.EVENT_READ)
        selector.register(children, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is outside and not _serve(outside):
                    return
            _reap(outside, children)


def _serve(outside: socket.socket) -> bool:
    """Answer one request; False when the simulator is gone."""
    body, fds, _, _ = socket.recv_fds(outside, MAX_PACKET_BYTES, 3)
    if not body:
        return False
    request = json.loads(body)
    if request["do"] == "start":
        _tell(outside, {"ticket": request["ticket"], **_start(request, fds)})
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(request["pid"], request["signal"])
    for fd in fds:
        os.close(fd)
    return True


def _start(request: dict[str, object], fds: list[int]) -> dict[str, object]:
    cwd, argv, env = request["cwd"], request["argv"], request["env"]
    assert isinstance(cwd, str)
    assert isinstance(argv, list)
    assert isinstance(env, dict)
    if not os.path.isdir(cwd):  # noqa: PTH112 - pathlib would cost every sandbox's start 10 ms
        return {"error": f"cwd '{cwd}' does not exist"}
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.chdir(cwd)
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
            os.closerange(3, _MAX_FDS)  # received descriptors are inherited: a child would hold its parent's pipes
            os.execvpe(argv[0], argv, env)
        finally:
            os._exit(COULD_NOT_EXEC)
    return {"pid": pid}


def _reap(outside: socket.socket, children: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(children, 4096)
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(outside, {"pid": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(outside: socket.socket, message: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        outside.send(json.dumps(message).encode())


def _child_signals() -> int:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


if __name__ == "__main__":
    main(int(sys.argv[1]))
