"""Descendants whose own parent is gone: adopted by the supervisor, reaped when they end, killed at the end.

Sandboxes are such: they outlive a crash of the sandbox service on purpose.
"""

import ctypes
import os

from taor_local.processes import descendants, kill_and_wait, zombie_children

PR_SET_CHILD_SUBREAPER = 36
ROUNDS = 20
ROUND_SECONDS = 1.0


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs (prctl(2), PR_SET_CHILD_SUBREAPER). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def reap_orphans(own: set[int]) -> None:
    """Take the exit status of adopted processes; `own` are the children that asyncio waits for itself."""
    for pid in zombie_children(os.getpid()):
        if pid not in own:
            os.waitpid(pid, os.WNOHANG)


def kill_orphans() -> None:
    """Kill every descendant that is left, once our own children have been waited for.

    Repeated, because the end of one hands its children to us.
    """
    for _ in range(ROUNDS):
        if not (left := descendants(os.getpid())):
            return
        kill_and_wait(left, timeout_seconds=ROUND_SECONDS)
        # Not every process 1 of a container reaps what is left to it.
        reap_orphans(own=set())
