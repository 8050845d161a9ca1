"""Runs in a fresh interpreter, ties the process to its parent, gives up root where told, and becomes the command.

Usage: python -I -S exec_shim.py DEATH_SIGNAL PARENT_PID UID GID LOCK N STALE_1 … STALE_N COMMAND [ARGUMENT...]
UID -1 keeps the identity. LOCK is a file that the command holds locked as long as one of its processes lives, or empty;
the STALE files are of an earlier run and are removed once the lock is ours.

A file of its own instead of `preexec_fn`, which is unsafe in a process that has threads.
"""

import ctypes
import fcntl
import os
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
LOCK_WAIT_SECONDS = 15.0


def hold(lock: str) -> None:
    """Take the lock and leave its descriptor open for the command; end with a message when another run keeps it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(descriptor, True)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit(f"another process still holds {lock}")
            time.sleep(0.02)


def remove(stale: list[str]) -> None:
    """Remove what an earlier run may have left."""
    for path in stale:
        if os.path.exists(path):  # noqa: PTH110 - importing pathlib would double the start-up time
            os.unlink(path)  # noqa: PTH108 - the same


def become(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with(parent_pid: int, signal_number: int) -> None:
    """Ask the kernel for a signal when the parent's thread ends; a parent that is gone already ends us here."""
    prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent_pid:
        os._exit(1)


def prctl(option: int, value: int) -> None:
    """Call prctl(2). Raises OSError when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def main(arguments: list[str]) -> None:
    """Do what the module's docstring says; never returns."""
    death_signal, parent_pid, uid, gid = map(int, arguments[:4])
    lock, count, *rest = arguments[4:]
    stale, command = rest[: int(count)], rest[int(count) :]
    die_with(parent_pid, death_signal)
    if lock:
        hold(lock)
        remove(stale)
    if uid >= 0:
        become(uid, gid)
        # Again: the kernel clears the death signal when credentials change.
        die_with(parent_pid, death_signal)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
