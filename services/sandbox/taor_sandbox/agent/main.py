"""The first process of a sandbox: becomes the sandbox's user, shuts itself off from it, serves."""

import ctypes
import itertools
import json
import os
import signal
import socket
import sys

from taor_sandbox.agent.config import Config
from taor_sandbox.agent.server import Server

_PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 4, 24
_CAPABILITIES = 64
_CAPABILITY_VERSION_3 = 0x20080522


def main(listener_fd: int, lock_fd: int, config: Config) -> None:
    """Serve on an inherited listening socket; the inherited lock is held for as long as the agent lives."""
    _close_all_but(listener_fd, lock_fd)
    libc = ctypes.CDLL(None)
    if config.uid is not None:
        _give_up_root(libc, config.uid)
    # Commands run as the same user: none may trace the agent, read its memory or interrupt it.
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o022)
    for fd in (listener_fd, lock_fd):
        os.set_inheritable(fd, False)
    Server(socket.socket(fileno=listener_fd), config).run()
    os._exit(0)  # the kernel kills what is left in this pid namespace, and waits for it


def _close_all_but(*kept: int) -> None:
    """Close what came along by somebody's mistake; a command could inherit it."""
    edges = [2, *sorted(kept), 1 << 20]
    for lower, upper in itertools.pairwise(edges):
        os.closerange(lower + 1, upper)


def _give_up_root(libc: ctypes.CDLL, uid: int) -> None:
    """Become `uid` for good: no capability is left, nor any that a program could bring back."""
    for capability in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0 or os.getresuid() != (uid, uid, uid):
        raise PermissionError("the agent could not give up root")


def start() -> None:
    """Read the command line that the host's launcher has written."""
    main(int(sys.argv[1]), int(sys.argv[2]), Config(*json.loads(sys.argv[3])))
