"""The supervisor: starts the stages in order, keeps their parts running, and stops everything in reverse.

It must run in the main thread: the kernel ends the children when the thread that started them ends.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Iterable, Sequence

from taor_local.child import Child, spawn
from taor_local.errors import PartFailedError
from taor_local.folders import Folders
from taor_local.logs import bound, tail
from taor_local.orphans import adopt_orphans, kill_orphans, reap_orphans
from taor_local.part import Chore, Stage
from taor_local.processes import ProcessId
from taor_local.state import Phase, State, write_state

HOUSEKEEPING_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs one installation from `run` to SIGTERM."""

    def __init__(self, stages: Sequence[Stage], folders: Folders, environment: str) -> None:
        self._stages = stages
        self._folders = folders
        self._environment = environment
        self._children: list[Child] = []
        self._chores: set[int] = set()
        self._phase = Phase.STARTING
        self._message = "starting"
        self._stop_requested = asyncio.Event()

    async def run(self) -> None:
        """Bring all up, wait for SIGTERM or SIGINT, bring all down. Raises LocalError if a part does not come up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop_requested.set)
        adopt_orphans()
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            await self._until_stop_requested(self._live())
        finally:
            housekeeping.cancel()
            self._tell(Phase.STOPPING, "stopping")
            await self._stop()
            self._tell(Phase.DOWN, "stopped")

    async def _live(self) -> None:
        for stage in self._stages:
            self._tell(Phase.STARTING, stage.message)
            await self._start(stage)
        self._tell(Phase.UP, "up")
        await self._stop_requested.wait()

    async def _start(self, stage: Stage) -> None:
        await stage.prepare()
        await _all(self._do(chore) for chore in stage.chores)
        children = [Child(part, self._folders.log(part.name), self._changed) for part in stage.parts]
        self._children += children
        await _all(child.start() for child in children)

    async def _do(self, chore: Chore) -> None:
        log = self._folders.log(chore.name)
        process = await spawn(chore.launch, log)
        self._chores.add(process.pid)
        status = await process.wait()
        self._chores.discard(process.pid)
        if status != 0:
            raise PartFailedError(chore.name, f"could not be prepared (status {status})", log, tail(log))

    async def _stop(self) -> None:
        for child in reversed(self._children):
            await child.stop()
        # Sandboxes outlive their service, so that a restarted one finds them again, but not the installation.
        kill_orphans()

    async def _until_stop_requested(self, live: Coroutine[None, None, None]) -> None:
        living = asyncio.create_task(live)
        stopped = asyncio.create_task(self._stop_requested.wait())
        await asyncio.wait({living, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if living.done():
            living.result()
        living.cancel()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                bound(self._folders.logs)
                reap_orphans(self._chores | {child.pid for child in self._children if child.pid})
            except OSError:
                # Most likely a full disk: tried again soon, and the parts run on meanwhile.
                logger.exception("the logs could not be bounded")

    def _changed(self) -> None:
        self._tell(self._phase, self._message)

    def _tell(self, phase: Phase, message: str) -> None:
        self._phase, self._message = phase, message
        parts = tuple(child.state() for child in self._children)
        state = State(phase, message, ProcessId.of(os.getpid()), parts, self._environment)
        try:
            write_state(self._folders.state, state)
        except OSError:
            # A full disk makes the state file old; it must not end the parts that still work.
            logger.exception("the state file could not be written")


async def _all(steps: Iterable[Coroutine[None, None, None]]) -> None:
    """Run the steps side by side; the first failure is raised, the others end when the supervisor stops the parts."""
    await asyncio.gather(*steps)
