"""Runs in a fresh interpreter, ties the process to its parent, gives up root where told, and becomes the command.

Usage: python -I -S exec_shim.py DEATH_SIGNAL PARENT_PID UID GID COMMAND [ARGUMENT...]; a UID of -1 keeps the identity.

A file of its own instead of `preexec_fn`, which is unsafe in a process that has threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


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
    if uid >= 0:
        become(uid, gid)
    # After the change of identity: the kernel clears the death signal when credentials change.
    die_with(parent_pid, death_signal)
    command = arguments[4:]
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
