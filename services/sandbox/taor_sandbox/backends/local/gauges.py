"""What sandboxes take of the disk that they share: its space, and its inodes, one for every file, folder and link."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taor_sandbox.backends.errors import SandboxGone
from taor_sandbox.backends.local.folder import Folder
from taor_sandbox.backends.port import Ending, Limits

GREEDY_SHARE = 128
"""Below the floor a sandbox may take one part in so many of what is left, in one round."""
FLOOR_BYTES = 512 * 1024**2
FLOOR_INODES = 100_000
_SMALL_DISK_SHARE = 8
"""Small disks have few inodes: there the floor is one part in so many of all."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that a disk can run out of."""

    ending: Ending
    floor: Callable[[os.statvfs_result], int]
    """Of the last so many nobody may take much at once."""
    notable: int
    """When so many are gone, it is worth looking who has taken them."""
    du_option: str
    """Lets du count it."""
    free: Callable[[os.statvfs_result], int]
    most: Callable[[Limits], int]
    """What one sandbox may have of it."""


SPACE = Resource(
    Ending.DISK_LIMIT, lambda _: FLOOR_BYTES, 64 * 1024**2, "--block-size=1",
    lambda disk: disk.f_bavail * disk.f_frsize, lambda limits: limits.disk_bytes,
)  # fmt: skip
INODES = Resource(
    Ending.FILES_LIMIT, lambda disk: min(FLOOR_INODES, disk.f_files // _SMALL_DISK_SHARE), 10_000, "--inodes",
    lambda disk: disk.f_favail, lambda limits: limits.files,
)  # fmt: skip
"""A file system that makes inodes as it needs them has none to count, and none to run out of."""


def greedy(grown: Mapping[Path, int], free: int, floor: int, *, since_last_round: bool) -> Collection[Path]:
    """The sandboxes to be stopped where `grown` is what each has taken since it was last measured.

    What has grown for longer than one round tells little of who is at it now: then only the one that grew most is."""
    if free >= floor:
        return ()
    takers = sorted((path for path in grown if grown[path] > free // GREEDY_SHARE), key=lambda path: -grown[path])
    return takers if since_last_round else takers[:1]


@dataclass(slots=True)
class Gauge:
    """Who has how much of a resource. It is looked at often, and measured only when much is gone, or little is left."""

    resource: Resource
    overseer: Sequence[str] = ()
    """What lets a program look into every folder."""
    _free_at_measure: int = 0
    _measured_last_round: bool = False
    _used: Mapping[Path, int] = field(default_factory=dict)

    async def begin(self, disk: os.statvfs_result, folders: Collection[Folder]) -> None:
        """What stands there already was not taken while we looked."""
        self._free_at_measure = self.resource.free(disk)
        await self._measure(folders)

    async def look(self, disk: os.statvfs_result, folders: Callable[[], Collection[Folder]]) -> Collection[Folder]:
        """The sandboxes that are to be stopped now."""
        free, floor = self.resource.free(disk), self.resource.floor(disk)
        self._free_at_measure = max(free, self._free_at_measure)
        is_notable = free < max(self._free_at_measure - self.resource.notable, 2 * floor)
        was_measured, self._measured_last_round = self._measured_last_round, is_notable
        if not is_notable:
            return []
        self._free_at_measure = free
        standing = folders()
        grown = await self._measure(standing)
        doomed = greedy(grown, free, floor, since_last_round=was_measured)
        return [each for each in standing if each.path in doomed or (grown[each.path] > 0 and self._is_over(each))]

    def _is_over(self, folder: Folder) -> bool:
        with contextlib.suppress(SandboxGone):  # while we looked
            return self._used[folder.path] > self.resource.most(folder.read_state().limits)
        return False

    async def _measure(self, folders: Collection[Folder]) -> Mapping[Path, int]:
        """How much each sandbox has grown since it was last measured."""
        used = {folder.path: await self._used_by(folder) for folder in folders}
        grown = {path: amount - self._used.get(path, 0) for path, amount in used.items()}
        self._used = used
        return grown

    async def _used_by(self, folder: Folder) -> int:
        """Counted by a process of its own, because a large tree would hold this one's thread."""
        process = await asyncio.create_subprocess_exec(
            *(*self.overseer, "du", "--summarize", self.resource.du_option, "--", str(folder.path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        said, _ = await process.communicate()
        return int(said.split(maxsplit=1)[0]) if said else 0
