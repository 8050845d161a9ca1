"""One worker's time with one build: the log it writes, the money it holds, the sandbox it is attached to."""

from __future__ import annotations

import asyncio
import itertools
import logging

from taor_orchestrator import recovery, strikes
from taor_orchestrator.build import Claim
from taor_orchestrator.history import History
from taor_orchestrator.log import Log
from taor_orchestrator.money import Allowance, Grant
from taor_orchestrator.ports import DependencyDown, Fate, Ports, StaleGeneration
from taor_orchestrator.projector import Projector
from taor_orchestrator.toolset import Operation

SNAPSHOT_EVERY_SECONDS = 30.0
MAX_GENERATIONS = 5
"""How many sandboxes in a row may be lost under one use, before it is given up."""

_log = logging.getLogger(__name__)


class Tenure:
    """What changes while a worker holds a build; everything durable about it stands in the log and the ledgers."""

    def __init__(self, claim: Claim, ports: Ports, history: History, allowance: Allowance) -> None:
        self.claim = claim
        self.ports = ports
        self.projector = Projector(claim, ports.builds, ports.lease)
        self.log = Log(claim, ports.checkpoint, self.projector, history)
        self.allowance = allowance
        self.grant: Grant | None = None
        self.earmark: Grant | None = None
        self.earmark_denied = False
        self.notes: list[str] = []
        self._failures = strikes.Record()
        self._calls = itertools.count()
        self._attaches = itertools.count(1)
        self._attaching: asyncio.Task[int] | None = None
        self._operations: tuple[Operation, ...] = ()
        self._snapshot: asyncio.Task[None] | None = None
        self._snapshot_due_seconds = ports.clock.monotonic_seconds() + SNAPSHOT_EVERY_SECONDS + _spread_seconds(claim)

    @property
    def history(self) -> History:
        """The log as far as this worker knows it."""
        return self.log.history

    def failures(self) -> strikes.Record:
        """What the log tells of failed commands; each entry is looked at once."""
        self._failures = strikes.follow(self._failures, self.history)
        return self._failures

    def next_rid(self) -> str:
        """A new id for a model call: one id, one send."""
        return f"{self.claim.build_id}/{self.claim.epoch}/{next(self._calls)}"

    def learn(self, allowance: Allowance) -> None:
        """The budget has told how the account stands."""
        self.allowance = allowance
        self.projector.spent(allowance.build_spent_microdollars)

    async def give_back(self, reason: str) -> None:
        """Release the money held for a call that will not be sent."""
        if self.grant is not None:
            rid, self.grant = self.grant.rid, None
            await self.ports.budget.release(self.claim, rid, reason)

    async def give_back_earmark(self, reason: str) -> None:
        """Release the money kept for a hand-over."""
        if self.earmark is not None:
            rid, self.earmark = self.earmark.rid, None
            await self.ports.budget.release(self.claim, rid, reason)

    async def give_back_all(self, reason: str) -> None:
        """Release everything held: the tenure ends, and nothing may stay behind it."""
        await self.give_back(reason)
        await self.give_back_earmark(reason)

    def attach_sandbox(self) -> None:
        """See to it that the sandbox gets ready, beside whatever comes next."""
        if self._attaching is None:
            self._attaching = asyncio.ensure_future(self._attach())

    async def generation(self) -> int:
        """The generation of the sandbox, once it is attached."""
        self.attach_sandbox()
        assert self._attaching is not None
        return await self._attaching

    async def operations(self) -> tuple[Operation, ...]:
        """What the sandbox's journal knows of the tool calls of the tail."""
        await self.generation()
        return self._operations

    def detach_sandbox(self) -> None:
        """The sandbox is let go: the next use attaches anew."""
        self._attaching = None

    def lose_sandbox(self, generation: int) -> None:
        """A use has found this generation lost: the next one attaches anew.

        Several uses may find it side by side. Only the first detaches: a second Attach would take over from the first,
        which this worker would then take for the loss of its lease.
        """
        if self._attaching is not None and self._attaching.done() and self._attaching.result() == generation:
            self._attaching = None

    def snapshot_soon(self) -> None:
        """Take a snapshot beside the next model call, if the last one is old enough and has ended."""
        now = self.ports.clock.monotonic_seconds()
        if now >= self._snapshot_due_seconds and (self._snapshot is None or self._snapshot.done()):
            self._snapshot_due_seconds = now + SNAPSHOT_EVERY_SECONDS
            self._snapshot = asyncio.ensure_future(self._take_snapshot())

    async def release_sandbox(self, fate: Fate) -> None:
        """End the use of the sandbox, if it was ever used; a failing store is told in the log and fails no build."""
        if self._attaching is None:
            return
        if self._snapshot is not None:
            await self._snapshot
        for _ in range(MAX_GENERATIONS):
            generation = await self.generation()
            try:
                await self.ports.sandbox.release(self.claim, generation, fate)
                return
            except StaleGeneration:
                self.lose_sandbox(generation)  # its files are restored first: the last effects must be kept
            except DependencyDown:
                _log.exception("the sandbox could not be released", extra={"fate": fate.value})
                return
        _log.error("the sandbox was lost again and again while it was released", extra={"fate": fate.value})

    async def close(self) -> None:
        """Let go of everything that runs beside the loop."""
        beside = [task for task in (self._attaching, self._snapshot) if task is not None]
        for task in beside:
            task.cancel()
        if beside:
            await asyncio.wait(beside)
        await self.log.close()

    async def _attach(self) -> int:
        history = self.history
        attached = await self.ports.sandbox.attach(self.claim, next(self._attaches), history.head)
        self._operations = attached.operations
        if note := recovery.lost_note(history, attached.operations):
            self.notes.append(note)
        return attached.generation

    async def _take_snapshot(self) -> None:
        generation = await self.generation()
        try:
            await self.ports.sandbox.snapshot(self.claim, generation)
        except StaleGeneration:
            self.lose_sandbox(generation)
        except DependencyDown:
            _log.exception("a snapshot could not be taken")


def _spread_seconds(claim: Claim) -> float:
    """Builds that begin together take their snapshots apart."""
    return int(claim.build_id[-4:], 16) % int(SNAPSHOT_EVERY_SECONDS)
