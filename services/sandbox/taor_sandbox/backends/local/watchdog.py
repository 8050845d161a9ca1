"""The disk of sandboxes: looked at often enough to stop a flood, not often enough to cost anything.

No kernel quota is to be had by an ordinary user, so this overshoots: by what a command takes in two rounds. The limit
of a single file and the size of /tmp are the kernel's and do not. The disk is shared with other sandboxes, and at home
with PostgreSQL: of its last half gigabyte, and of its last 100,000 inodes, nobody may take much at once, while whoever
takes little goes on.
"""

import asyncio
import contextlib
import os

from taor_sandbox.agent import messages
from taor_sandbox.agent.operations import NOBODY
from taor_sandbox.backends.errors import BackendError
from taor_sandbox.backends.local.bwrap import Launcher
from taor_sandbox.backends.local.folder import Folder, Shelf
from taor_sandbox.backends.local.gauges import INODES, SPACE, Gauge
from taor_sandbox.backends.local.launch import kill_agent
from taor_sandbox.backends.local.wire import Link
from taor_sandbox.backends.port import Ending

_ROUND_SECONDS = 0.2
_PATIENCE_SECONDS = 5.0
"""While an agent is waited for, nobody looks at the other sandboxes."""


class DiskWatchdog:
    """Kills commands that grow a sandbox beyond a limit, or that take the last of the disk."""

    def __init__(self, shelf: Shelf, launcher: Launcher) -> None:
        self._shelf = shelf
        self._launcher = launcher
        self._task: asyncio.Task[None] | None = None
        self._gauges = tuple(Gauge(resource, launcher.overseer()) for resource in (SPACE, INODES))

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.create_task(self._rounds(os.statvfs(self._shelf.root)))

    async def stop(self) -> None:
        """End the rounds."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _rounds(self, disk: os.statvfs_result) -> None:
        for gauge in self._gauges:
            await gauge.begin(disk, self._shelf.folders())
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            self._launcher.reap()
            for gauge in self._gauges:
                doomed = await gauge.look(os.statvfs(self._shelf.root), self._shelf.folders)
                await asyncio.gather(*(stop(folder, gauge.resource.ending) for folder in doomed))


async def stop(folder: Folder, ending: Ending, patience_seconds: float = _PATIENCE_SECONDS) -> None:
    """Kill all that runs in a sandbox; where its agent does not do it in time, the agent goes as well."""
    with contextlib.suppress(BackendError):  # it went away while we looked
        try:
            async with asyncio.timeout(patience_seconds):
                await _kill_commands(folder, ending)
        except TimeoutError:
            kill_agent(folder.read_state())


async def _kill_commands(folder: Folder, ending: Ending) -> None:
    """Every operation, and what belongs to none any more."""
    link = Link.connect(folder)
    try:
        live = await link.call(messages.LiveOperations, messages.ListLive())
        for op_id in (*live.op_ids, NOBODY):
            await link.call(messages.Done, messages.Kill(op_id, ending.value))
    finally:
        link.close()
