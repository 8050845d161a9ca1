"""What stands in the workspace, told without reading any file: everything, or what is different from the last time.

A program that looks would have to be started for each look, and would have to say everything each time. The agent is
there, and remembers what it has said. Meanwhile it answers nobody else, so a workspace that it surveys has a bound.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator

from taor_sandbox.agent.files import FileProblemError
from taor_sandbox.agent.messages import Surveyed

MOST_PATHS = 50_000
"""So many take about 0.3 s and 20 MB."""
_COARSE = 5
"""CLOCK_REALTIME_COARSE, by which Linux writes the times of files."""
_TICK_SECONDS, _NAP_SECONDS = 0.02, 0.0005
Standing = tuple[int, int, int, int, int, str]
"""st_mode, size in bytes, time of the last change in ns, inode, time of the last status change in ns, a link's target.
"""


class Surveyor:
    """Looks, and remembers its last look."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._stamp = ""
        self._seen: dict[str, Standing] = {}

    def survey(self, since: str) -> Surveyed:
        """The differences from the look with the stamp `since` if that was the last one, else everything.

        Raises FileProblemError: DENIED where something cannot be read as it stands, TOO_LARGE for too many paths."""
        found = dict(_standing(self._workspace))
        _let_the_clock_pass(changed_ns for *_, changed_ns, _ in found.values())
        is_whole = not since or since != self._stamp
        before = {} if is_whole else self._seen
        there = [(path, *standing) for path, standing in found.items() if before.get(path) != standing]
        gone = [path for path in before if path not in found]
        self._stamp, self._seen = os.urandom(8).hex(), found
        return Surveyed(self._stamp, is_whole, there, gone)


def _standing(workspace: str) -> Iterator[tuple[str, Standing]]:
    """Every file, link and folder, by its path from the workspace; no snapshot keeps what is none of these."""
    user, left, folders = os.geteuid(), MOST_PATHS, [""]
    while folders:
        folder = folders.pop()
        with os.scandir(f"{workspace}/{folder}") as entries:
            for entry in entries:
                path, found = f"{folder}{entry.name}", entry.stat(follow_symlinks=False)
                mode, target = found.st_mode, ""
                if stat.S_ISREG(mode):
                    _check_readable(entry.path, found, user)
                elif stat.S_ISDIR(mode):
                    folders.append(f"{path}/")
                elif stat.S_ISLNK(mode):
                    target = os.readlink(entry.path)
                else:
                    continue
                if (left := left - 1) < 0:
                    raise FileProblemError("TOO_LARGE", f"there are more than {MOST_PATHS} paths")
                yield path, (mode, found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, target)


def _let_the_clock_pass(times_ns: Iterable[int]) -> None:
    """Wait for the next tick after the newest of these: a change within the same tick would leave no other time."""
    newest_ns, deadline = max(times_ns, default=0), time.monotonic() + _TICK_SECONDS
    while time.clock_gettime_ns(_COARSE) <= newest_ns and time.monotonic() < deadline:
        time.sleep(_NAP_SECONDS)


def _check_readable(path: str, found: os.stat_result, user: int) -> None:
    is_mine = found.st_mode & stat.S_IRUSR and found.st_uid == user
    if not is_mine and not os.access(path, os.R_OK, effective_ids=True):
        raise FileProblemError("DENIED", f"{path} is locked")
