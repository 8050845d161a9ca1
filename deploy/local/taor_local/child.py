"""One part kept running: started, watched, restarted after a crash, stopped."""

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from taor_local.errors import PartFailedError
from taor_local.launch import Launch
from taor_local.logs import open_log, tail
from taor_local.part import Part
from taor_local.processes import ProcessId
from taor_local.state import PartState

PROBE_SECONDS = 0.03
CALM_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 10.0
NOT_STARTED = -1

logger = logging.getLogger(__name__)


def pause_before_restart(recent_restarts: int) -> float:
    """Restart at once the first time within a minute, then after 0.25 s, 0.5 s, 1 s … up to 10 s."""
    if recent_restarts == 0:
        return 0.0
    return float(min(0.25 * 2 ** min(recent_restarts - 1, 10), LONGEST_PAUSE_SECONDS))


async def spawn(launch: Launch, log: Path) -> asyncio.subprocess.Process:
    """Start a process that writes to the log and dies with us."""
    with open_log(log) as output:
        return await asyncio.create_subprocess_exec(
            *launch.tied_command(),
            env=dict(launch.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )


class Child:
    """Keeps one part running until `stop`; tells `changed` whenever its state is another."""

    def __init__(self, part: Part, log: Path, changed: Callable[[], None]) -> None:
        self._part = part
        self._log = log
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._served_once = False
        self._stopping = False
        self._restarts = 0
        self._recent: deque[float] = deque(maxlen=32)
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the running process."""
        return self._process.pid if self._process else None

    def state(self) -> PartState:
        """Describe this part as it is now."""
        process = ProcessId.of(self._process.pid) if self._process else None
        return PartState(self._part.name, process, self._ready.is_set(), self._restarts)

    async def start(self) -> None:
        """Start the part and wait until it serves. Raises PartFailedError when it ends first, or takes too long."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self._part.name}")
        ready = asyncio.create_task(self._ready.wait())
        waited_for = {self._keeper, ready}
        await asyncio.wait(waited_for, timeout=self._part.start_seconds, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._keeper.done():
            self._keeper.result()
        elif not self._ready.is_set():
            raise self._failure(f"did not serve within {self._part.start_seconds:.0f} s")

    async def stop(self) -> None:
        """End the part: its stop signal, then, after its time, SIGKILL."""
        self._stopping = True
        if self._keeper is None:
            return
        if self._process is None:  # it pauses before a restart
            self._keeper.cancel()
        else:
            await self._end(self._process)
        await asyncio.gather(self._keeper, return_exceptions=True)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        try:
            # PostgreSQL's fast shutdown is SIGINT; everything else drains on SIGTERM.
            fast = self._part.launch.death_signal
            process.send_signal(signal.SIGTERM if fast is signal.SIGKILL else fast)
            async with asyncio.timeout(self._part.stop_seconds):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        except ProcessLookupError:
            return

    async def _keep(self) -> None:
        while True:
            exit_status = await self._run_once()
            if self._stopping:
                return
            if not self._served_once:
                raise self._failure(f"ended with status {exit_status} before it served")
            await asyncio.sleep(pause_before_restart(self._count_recent()))
            self._restarts += 1
            self._recent.append(time.monotonic())

    def _failure(self, what: str) -> PartFailedError:
        return PartFailedError(self._part.name, what, self._log, tail(self._log))

    async def _run_once(self) -> int:
        try:
            self._process = process = await spawn(self._part.launch, self._log)
        except OSError:
            # No memory, no descriptors, a program that is just being replaced: tried again like a crash.
            logger.exception("%s could not be started", self._part.name)
            return NOT_STARTED
        self._changed()
        prober = asyncio.create_task(self._watch_readiness())
        exit_status = await process.wait()
        prober.cancel()
        self._process = None
        self._ready.clear()
        self._changed()
        return exit_status

    async def _watch_readiness(self) -> None:
        while not await self._part.probe.serves():  # noqa: ASYNC110 - another process cannot set an event of ours
            await asyncio.sleep(PROBE_SECONDS)
        self._served_once = True
        self._ready.set()
        self._changed()

    def _count_recent(self) -> int:
        return sum(1 for moment in self._recent if time.monotonic() - moment < CALM_SECONDS)
