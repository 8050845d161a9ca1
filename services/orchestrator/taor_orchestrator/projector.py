"""Brings the build's row and events up to the log, beside the loop and never ahead of it."""

from __future__ import annotations

import asyncio
import contextlib

from taor_orchestrator.build import Claim
from taor_orchestrator.history import History
from taor_orchestrator.money import Forecast
from taor_orchestrator.ports import Builds, DependencyDown, Lease

RETRY_SECONDS = 0.25
GATHER_SECONDS = 0.05
"""How long a projection waits for the next append, so that an answer and its results become one transaction."""


class Projector:
    """Projects the newest durable history it was shown; several appends in a row become one transaction."""

    def __init__(self, claim: Claim, builds: Builds, lease: Lease) -> None:
        self._claim = claim
        self._builds = builds
        self._lease = lease
        self._shown = History()
        self._spent_microdollars = 0
        self._forecasts: dict[int, Forecast] = {}
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def show(self, history: History) -> None:
        """There is more to project, when the log has grown."""
        if history.head > self._shown.head:
            self._shown = history
            self._start()

    def spent(self, microdollars: int) -> None:
        """The budget has told what the build has spent so far; it goes with the next projection."""
        self._spent_microdollars = max(self._spent_microdollars, microdollars)

    def foresee(self, log_sequence: int, forecast: Forecast) -> None:
        """What the events of an entry shall tell beside what the entry says; call it before the entry is appended."""
        self._forecasts[log_sequence] = forecast

    async def settle(self) -> None:
        """Wait until everything shown is projected; raises `LeaseLost` when that is no longer ours to do."""
        self._hurry.set()
        if self._task is not None:
            await self._task
        self._hurry.clear()

    async def close(self) -> None:
        """Stop; the next worker projects the rest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _start(self) -> None:
        # A failed task is left as it is: settle() tells why, and this worker has nothing to project any more.
        if self._task is None or (self._task.done() and not self._task.cancelled() and not self._task.exception()):
            self._task = asyncio.ensure_future(self._project())

    async def _project(self) -> None:
        projected = -1
        while projected < self._shown.head:
            await self._gather()
            history = self._shown
            try:
                await self._builds.project(self._claim, history, self._spent_microdollars, self._forecasts)
                projected = history.head
            except DependencyDown:
                await asyncio.sleep(RETRY_SECONDS)
                self._lease.check()

    async def _gather(self) -> None:
        """Give the next append a moment to come, unless somebody waits."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await self._hurry.wait()
