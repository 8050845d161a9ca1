"""Several orchestrators on one installation: the supervised one, and more like it that the test starts and kills."""

import asyncio
import itertools
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from taor_local.options import Options
from tests.support.installation import process_of

PART = "orchestrator"


class Workers:
    """The orchestrators that share the builds of one database."""

    def __init__(self, options: Options, environment: Mapping[str, str], folder: Path) -> None:
        self._options = options
        self._environment = environment
        self._folder = folder
        self._numbers = itertools.count()
        self._more: list[asyncio.subprocess.Process] = []

    def resident_bytes(self) -> int:
        """The memory of the supervised one."""
        return int(psutil.Process(process_of(self._options, PART).pid).memory_info().rss)

    async def add(self) -> None:
        """Start one more."""
        listen = f"unix:{self._folder / f'{next(self._numbers)}.sock'}"
        with (self._folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "taor_orchestrator", "serve"),
                env={**self._environment, "TAOR_ORCHESTRATOR_LISTEN": listen},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._more.append(process)

    async def kill_any(self, chance: random.Random) -> None:
        """Kill one of them; another takes its place."""
        place = chance.randrange(len(self._more) + 1)
        if place == len(self._more):
            await self.kill_first()
            return
        victim = self._more.pop(place)
        victim.kill()
        await victim.wait()
        await self.add()

    async def kill_first(self) -> None:
        """Kill the supervised one; its supervisor starts it anew."""
        victim = process_of(self._options, PART)
        os.kill(victim.pid, signal.SIGKILL)
        while victim.is_alive():  # noqa: ASYNC110 - another process waits for it
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """End those that the test has started."""
        for worker in self._more:
            worker.kill()
            await worker.wait()


@asynccontextmanager
async def workers_of(options: Options, folder: Path) -> AsyncIterator[Workers]:
    """The supervised orchestrator of a running installation; what is added lies in `folder`, and ends with this."""
    first = psutil.Process(process_of(options, PART).pid)
    workers = Workers(options, first.environ(), folder)
    try:
        yield workers
    finally:
        await workers.end()
