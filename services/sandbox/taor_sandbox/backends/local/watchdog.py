"""Disk space of sandboxes: looked at often enough to stop a flood, not often enough to cost anything.

No kernel quota is to be had by an ordinary user, so this overshoots: by what a command writes in two rounds. The limit
of a single file and the size of /tmp are the kernel's and do not.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from taor_sandbox.agent import messages
from taor_sandbox.backends.errors import BackendError
from taor_sandbox.backends.local.bwrap import Launcher
from taor_sandbox.backends.local.folder import Folder, Shelf
from taor_sandbox.backends.local.wire import Link
from taor_sandbox.backends.port import Ending

_ROUND_SECONDS = 1.0
_NOTABLE_BYTES = 64 * 1024**2
_FREE_FLOOR_BYTES = 512 * 1024**2


class DiskWatchdog:
    """Kills commands that grow a sandbox beyond its limit, or that take the disk's last half gigabyte."""

    def __init__(self, shelf: Shelf, launcher: Launcher) -> None:
        self._shelf = shelf
        self._launcher = launcher
        self._task: asyncio.Task[None] | None = None
        self._free_at_measure = 0
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
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            self._launcher.reap()
            free = self._free_bytes()
            self._free_at_measure = max(free, self._free_at_measure)
            if free < self._free_at_measure - _NOTABLE_BYTES or free < _FREE_FLOOR_BYTES:
                await self._measure_all(is_full=free < _FREE_FLOOR_BYTES)
                self._free_at_measure = free

    async def _measure_all(self, is_full: bool) -> None:
        for folder in self._shelf.folders():
            with contextlib.suppress(BackendError):  # it went away while we looked
                await self._measure(folder, is_full)

    async def _measure(self, folder: Folder, is_full: bool) -> None:
        before, used = self._used.get(folder.path, 0), await _used_bytes(folder)
        self._used[folder.path] = used
        if used > before and (is_full or used > folder.read_state().limits.disk_bytes):
            await _kill_commands(folder)

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
