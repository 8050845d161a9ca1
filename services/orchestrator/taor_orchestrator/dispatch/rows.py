"""Dispatch on the builds table itself: each build's row is its job (docs/decisions/0002), and this works on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from taor_chassis import telemetry
from taor_chassis.clock import Clock
from taor_orchestrator.build import Claim, Ended, HandedOver, Rested, Waiting
from taor_orchestrator.dispatch.hints import listen
from taor_orchestrator.dispatch.lease import BEAT_SECONDS, HeldLease
from taor_orchestrator.dispatch.port import Dispatch, Work
from taor_orchestrator.ports import DependencyDown, LeaseLost, NothingBegun
from taor_orchestrator.store.builds import BuildStore, NewBuild, Request
from taor_orchestrator.store.failures import dependable
from taor_orchestrator.store.leases import Claimed, LeaseStore

CLAIM_BATCH = 10
CLAIM_PAUSE_SECONDS = 0.2
"""Between full batches: what begins together keeps step for long, in sandboxes, snapshots and heartbeats."""
WAKE_BATCH = 50
HAND_OVER_SECONDS = 20.0
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it looks by itself; the hints of the database only make it faster."""

    poll_seconds: float = 1.0
    """For builds that are due."""
    beat_seconds: float = BEAT_SECONDS
    """For what waits for the builds that it holds; each look renews their leases."""


@dataclass(slots=True)
class _Held:
    """A build in the hands of this process."""

    claim: Claim
    lease: HeldLease
    task: asyncio.Task[None]


class RowDispatch(Dispatch):
    """Implements the `Dispatch` port: claims what is due, keeps the leases alive, and gives back what it cannot end."""

    def __init__(
        self, dsn: str, builds: BuildStore, leases: LeaseStore, clock: Clock, slots: int, pace: Pace | None = None
    ) -> None:
        self._pace = pace or Pace()
        self._dsn = dsn
        self._builds = builds
        self._leases = leases
        self._clock = clock
        self._slots = slots
        self._held: dict[str, _Held] = {}
        self._due = asyncio.Event()

    async def submit(self, build: NewBuild, request: Request) -> str:
        """Queue a build under its request, once."""
        return await self._builds.start(build, request)

    async def wake(self, tenant_id: str, build_id: str, reason: str, request: Request) -> None:
        """Raise the build's wake generation, and queue it when it rests; once for the request."""
        await self._builds.wake(tenant_id, build_id, reason, request)

    async def cancel(self, tenant_id: str, build_id: str, inbox_id: str, request: Request) -> None:
        """Send the build its cancellation, and hint its worker at it."""
        await self._builds.cancel(tenant_id, build_id, inbox_id, request)

    async def run(self, work: Work, stopping: asyncio.Event) -> None:
        """Claim builds and work on them until `stopping` is set, then hand them over."""
        claiming = asyncio.create_task(self._claim_until(stopping, work))
        beside = [
            asyncio.create_task(listen(self._dsn, self._due.set, self._hint)),
            asyncio.create_task(self._every(self._pace.beat_seconds, self._beat)),
            asyncio.create_task(self._every(self._pace.poll_seconds, self._wake_due)),
            claiming,
        ]
        stopped = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([*beside, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not stopping.is_set():
                raise next(task.exception() for task in beside if task.done()) or AssertionError("a loop ended")
            self._due.set()
            await claiming  # a claim that is under way is ours, and must be handed over with the others
            await self._hand_over()
        finally:
            for task in (*beside, stopped):
                task.cancel()

    async def _claim_until(self, stopping: asyncio.Event, work: Work) -> None:
        while not stopping.is_set():
            self._due.clear()
            claimed = await self._claim(work)
            if claimed < CLAIM_BATCH:
                await self._until_due()
            else:
                await asyncio.sleep(CLAIM_PAUSE_SECONDS)

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(self._pace.poll_seconds):
                await self._due.wait()
        except TimeoutError:
            return

    async def _claim(self, work: Work) -> int:
        """Claim what there are slots for; 0 while the database is away."""
        free = min(self._slots - len(self._held), CLAIM_BATCH)
        asked_at_seconds = self._clock.boottime_seconds()
        try:
            async with dependable():
                claims = await self._leases.claim(free) if free > 0 else []
        except DependencyDown as down:
            _log.warning("builds cannot be claimed", extra={"why": str(down)})
            return 0
        for each in claims:
            self._start(each, asked_at_seconds, work)
        return len(claims)

    def _start(self, claimed: Claimed, asked_at_seconds: float, work: Work) -> None:
        claim, lease = claimed.claim, HeldLease(self._clock, asked_at_seconds)
        lease.hear(claimed.signals)
        task = asyncio.create_task(self._work(work, claim, lease))
        self._held[claim.build_id] = held = _Held(claim, lease, task)
        task.add_done_callback(lambda _: self._forget(held))

    def _forget(self, held: _Held) -> None:
        if self._held.get(held.claim.build_id) is held:
            del self._held[held.claim.build_id]
        self._due.set()

    async def _work(self, work: Work, claim: Claim, lease: HeldLease) -> None:
        telemetry.bind(build_id=claim.build_id)
        try:
            ending = await work(claim, lease)
        except LeaseLost as lost:
            _log.warning("a lease was lost", extra={"why": str(lost)})
            await self._give_back(claim, 0.0, "its worker was too slow for its lease")
        except asyncio.CancelledError:
            # Fenced by the epoch: where another worker has it already, this gives nothing back.
            await self._give_back(claim, 0.0, "its worker let go of it")
            raise
        except DependencyDown as down:
            _log.warning("a service stays away", extra={"why": str(down)})
            reason = f"a service stays away: {down}"
            await self._give_back(claim, _retry_seconds(claim), reason, in_vain=not isinstance(down, NothingBegun))
        except Exception:  # the boundary of a tenure: whatever it was, the build goes back to the queue
            _log.exception("a tenure broke")
            await self._give_back(claim, _retry_seconds(claim), "its worker met an error")
        else:
            match ending:
                case Ended(outcome):
                    _log.info("a build has ended", extra={"state": outcome.state.value})
                case Rested(state) | Waiting(state):
                    _log.info("a build rests", extra={"state": state.value})
                case HandedOver():
                    await self._give_back(claim, 0.0, "handed over by a worker that stops")

    async def _give_back(self, claim: Claim, delay_seconds: float, reason: str, *, in_vain: bool = True) -> None:
        try:
            async with dependable():
                await self._leases.requeue(claim, delay_seconds, reason, in_vain=in_vain)
        except DependencyDown as down:
            _log.warning("a build is given back by the end of its lease", extra={"why": str(down)})

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Act again `seconds` after the last beginning, however long it took."""
        next_seconds = self._clock.boottime_seconds()
        while True:
            next_seconds = max(next_seconds + seconds, self._clock.boottime_seconds())
            await asyncio.sleep(next_seconds - self._clock.boottime_seconds())
            try:
                async with dependable():
                    await act()
            except DependencyDown as down:
                _log.warning("the database is away", extra={"why": str(down)})
            self._drop_stale()

    async def _beat(self) -> None:
        """Renew every lease in one statement; it also tells what waits for each build, and what is no longer ours."""
        held = dict(self._held)
        if not held:
            return
        asked_at_seconds = self._clock.boottime_seconds()
        kept = await self._leases.beat([(each.claim.build_id, each.claim.epoch) for each in held.values()])
        for build_id, each in held.items():
            if build_id not in kept:
                each.task.cancel()
                continue
            each.lease.renew(asked_at_seconds)
            each.lease.hear(kept[build_id])

    async def _wake_due(self) -> None:
        if await self._leases.wake_due(WAKE_BATCH):
            self._due.set()

    def _drop_stale(self) -> None:
        """Fence ourselves from the builds whose leases are too old, whatever the database would say."""
        for each in list(self._held.values()):
            if not each.lease.is_fresh:
                each.task.cancel()

    def _hint(self, verb: str, build_id: str) -> None:
        if (held := self._held.get(build_id)) is None:
            return
        match verb:
            case "cancel":
                held.lease.cancel_requested.set()
            case "pause":
                held.lease.pause_requested.set()
            case "inbox":
                held.lease.inbox_waiting.set()

    async def _hand_over(self) -> None:
        """Let every tenure come to its turn boundary; what does not in time is left to the next worker."""
        for each in self._held.values():
            each.lease.handing_over.set()
        tasks = [each.task for each in self._held.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=HAND_OVER_SECONDS)
            for task in late:
                task.cancel()


def _retry_seconds(claim: Claim) -> float:
    return min(FIRST_RETRY_SECONDS * 2.0**claim.fruitless_claims, LONGEST_RETRY_SECONDS)
