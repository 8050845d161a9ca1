"""Runs inside a sandbox, on the standard library alone: lets the owner read paths, or puts their modes back.

Standard input holds {path: mode}, the modes being those that the paths have and shall have again.
"""

import contextlib
import json
import os
import stat
import sys


def unlock(modes: dict[str, int]) -> None:
    """Let the owner read; folders come first, so that what is in them can be reached."""
    for path in sorted(modes):
        with contextlib.suppress(PermissionError):  # another user's, and readable to us in another way
            is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
            rights = stat.S_IRUSR | stat.S_IXUSR if is_folder else stat.S_IRUSR
            os.chmod(path, modes[path] | rights)  # noqa: PTH101 # no Path: odd names must stay as they are


def lock(modes: dict[str, int]) -> None:
    """Put the modes back; folders come last."""
    for path in sorted(modes, reverse=True):
        with contextlib.suppress(PermissionError):
            os.chmod(path, modes[path])  # noqa: PTH101 # as above


if __name__ == "__main__":
    {"unlock": unlock, "lock": lock}[sys.argv[1]](json.load(sys.stdin))
