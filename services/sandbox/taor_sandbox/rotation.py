"""Renews the life of a sandbox before its provider ends it: at a quiet moment it sleeps, and wakes at once.

A provider may let nothing run for longer than a day, or an hour, and pauses it then in the midst of whatever runs.
Where something runs for the whole margin before that, in the background too, it stays with that pause: the next call
wakes it, and what ran goes on.
"""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress

from taor_sandbox.backends.errors import BackendError, SandboxBusy, SandboxFrozen, StaleEpoch
from taor_sandbox.backends.port import Backend, Sandbox
from taor_sandbox.errors import SnapshotFailed
from taor_sandbox.records import Build, BuildState
from taor_sandbox.sessions import Session
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.operations import Operations
from taor_sandbox.tree import take_stock

_AT_ONCE = 8

_log = logging.getLogger(__name__)


class Rotation:
    """Rotates what this process holds in hand for the present epoch, and nothing else."""

    def __init__(self, builds: Builds, operations: Operations, backend: Backend, *, margin_seconds: float) -> None:
        self._builds, self._operations, self._backend = builds, operations, backend
        self._margin_seconds = margin_seconds
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def is_due(self, session: Session, seconds_left: float | None) -> bool:
        """Whether a sandbox that may run for so long is to be rotated."""
        return session.renewable and seconds_left is not None and seconds_left < self._margin_seconds

    async def rotate(self, session: Session) -> bool:
        """Rotate the sandbox if nothing runs in it; False when it was left alone, so that a later round may try."""
        async with self._gate, session.rotating, session.starting:
            build, sandbox = await self._builds.get(session.key), session.sandbox
            if build is None or sandbox is None or not self._is_ours(build, session):
                return False
            try:
                return await sandbox.is_idle() and await self._rotate(build, sandbox, session)
            except (SandboxBusy, SandboxFrozen, StaleEpoch):
                return False  # somebody was faster, or is in the midst of something
            except (BackendError, SnapshotFailed) as error:
                extra = {"build_id": build.key.build_id}
                _log.warning("a sandbox could not be rotated; the next call finds out", exc_info=error, extra=extra)
                return False

    @staticmethod
    def _is_ours(build: Build, session: Session) -> bool:
        """Whether the row still says what this process was told: a stalled one finds a newer epoch there."""
        return build.state is BuildState.READY and session.holds(build.fence.epoch, build.generation)

    async def _rotate(self, build: Build, sandbox: Sandbox, session: Session) -> bool:
        assert build.provider_id is not None
        still = AsyncExitStack()
        try:
            await still.enter_async_context(sandbox.frozen())
            if await self._operations.open_ones(build.key, build.generation):
                return False
            before = await self._operations.last_claimed(build)
            tree_sha256 = (await take_stock(sandbox)).tree_sha256
            await self._backend.pause(build.provider_id, build.fence.epoch, only_idle=True)
        finally:
            with suppress(BackendError):  # what was frozen is asleep now
                await still.aclose()
        async with session.dialling:
            await self._wake(build, session, tree_sha256, before)
        if self.is_due(session, await self._backend.keepalive(build.provider_id)):
            session.renewable = False
            _log.error("a rotation has brought no new life", extra={"build_id": build.key.build_id})
        return True

    async def _wake(self, build: Build, session: Session, tree_sha256: bytes, before: str | None) -> None:
        """Take the woken sandbox in hand; with other files than it slept with, it gives way to the next generation."""
        assert build.provider_id is not None
        await session.let_go()
        woken = await self._backend.attach(build.provider_id)
        try:
            await woken.raise_epoch(build.fence.epoch)
            if await self._is_whole(build, woken, tree_sha256, before):
                session.hold(build, woken)
            else:
                _log.error("a rotated sandbox woke with other files", extra={"build_id": build.key.build_id})
                await self._builds.plan(build)
        finally:
            if session.sandbox is not woken:
                await woken.close()

    async def _is_whole(self, build: Build, woken: Sandbox, tree_sha256: bytes, before: str | None) -> bool:
        """Whether its files are those of before, or have changed since by an operation that another replica ran."""
        if woken.boot_id != build.boot_id or await woken.journal_nonce() != build.nonce_text:
            return False
        if (await take_stock(woken)).tree_sha256 == tree_sha256:
            return True
        ran = await self._operations.open_ones(build.key, build.generation)
        return bool(ran) or await self._operations.last_claimed(build) != before
