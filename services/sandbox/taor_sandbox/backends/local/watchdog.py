"""Disk space of sandboxes: looked at often enough to stop a flood, not often enough to cost anything.

No kernel quota is to be had by an ordinary user, so this overshoots: by what a command writes in two rounds. The limit
of a single file and the size of /tmp are the kernel's and do not. The disk is shared with other sandboxes, and at home
with PostgreSQL: of its last half gigabyte nobody may take much at once, while whoever writes little goes on.
"""

import asyncio
import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from taor_sandbox.agent import messages
from taor_sandbox.backends.errors import BackendError
from taor_sandbox.backends.local.bwrap import Launcher
from taor_sandbox.backends.local.folder import Folder, Shelf
from taor_sandbox.backends.local.wire import Link
from taor_sandbox.backends.port import Ending

_ROUND_SECONDS = 0.2
_NOTABLE_BYTES = 64 * 1024**2
FREE_FLOOR_BYTES = 512 * 1024**2
GREEDY_SHARE = 128
"""Below the floor a sandbox may take one part in so many of what is left, in one round."""


def greedy(grown: Mapping[Path, int], free_bytes: int, *, since_last_round: bool) -> Collection[Path]:
    """The sandboxes to be stopped where `grown` is what each has taken since it was last measured.

    What has grown for longer than one round tells little of who is at it now: then only the one that grew most is."""
    if free_bytes >= FREE_FLOOR_BYTES:
        return ()
    takers = sorted((path for path in grown if grown[path] > free_bytes // GREEDY_SHARE), key=lambda path: -grown[path])
    return takers if since_last_round else takers[:1]


class DiskWatchdog:
    """Kills commands that grow a sandbox beyond its limit, or that take the disk's last half gigabyte."""

    def __init__(self, shelf: Shelf, launcher: Launcher) -> None:
        self._shelf = shelf
        self._launcher = launcher
        self._task: asyncio.Task[None] | None = None
        self._free_at_measure = 0
        self._measured_last_round = False
        self._used: dict[Path, int] = {}

    def start(self) -> None:
        """Begin the rounds."""
        self._free_at_measure = self._free_bytes()
        self._task = asyncio.create_task(self._rounds())

    async def stop(self) -> None:
        """End the rounds."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _rounds(self) -> None:
        await self._measure()  # what stands there already was not taken while we looked
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            self._launcher.reap()
            free = self._free_bytes()
            self._free_at_measure = max(free, self._free_at_measure)
            is_notable = free < max(self._free_at_measure - _NOTABLE_BYTES, 2 * FREE_FLOOR_BYTES)
            if is_notable:
                await self._judge(free)
                self._free_at_measure = free
            self._measured_last_round = is_notable

    async def _judge(self, free: int) -> None:
        grown = await self._measure()
        doomed = greedy(grown, free, since_last_round=self._measured_last_round)
        for folder in self._shelf.folders():
            with contextlib.suppress(BackendError):  # it went away while we looked
                is_over = self._used.get(folder.path, 0) > folder.read_state().limits.disk_bytes
                if folder.path in doomed or (is_over and grown.get(folder.path, 0) > 0):
                    await _kill_commands(folder)

    async def _measure(self) -> Mapping[Path, int]:
        """How much each sandbox has grown since it was last measured."""
        used = {folder.path: await _used_bytes(folder) for folder in self._shelf.folders()}
        grown = {path: size - self._used.get(path, 0) for path, size in used.items()}
        self._used = used
        return grown

    def _free_bytes(self) -> int:
        found = os.statvfs(self._shelf.root)
        return found.f_bavail * found.f_frsize


async def _used_bytes(folder: Folder) -> int:
    """Disk space of a sandbox; counted by a process of its own, because a large tree would hold this one's thread."""
    process = await asyncio.create_subprocess_exec(
        *("du", "--summarize", "--block-size=1", "--", str(folder.path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    return int(said.split(maxsplit=1)[0]) if said else 0


async def _kill_commands(folder: Folder) -> None:
    link = Link.connect(folder)
    try:
        live = await link.call(messages.LiveOperations, messages.ListLive())
        for op_id in live.op_ids:
            await link.call(messages.Done, messages.Kill(op_id, Ending.DISK_LIMIT.value))
    finally:
        link.close()
