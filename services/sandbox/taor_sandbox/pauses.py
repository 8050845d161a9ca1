"""Pauses a sandbox, and tells when it wakes whether its files came back.

A provider may bring back an older disk, and with it the older journal, which fits: nothing inside can tell. So the hash
of the tree is kept in the build's row, taken while everything stands still from there to the pause. The newest snapshot
would not do: it may have failed, or be older than the pause, and newer files that are good would be thrown away.
"""

import logging
from contextlib import AsyncExitStack, suppress

from taor_sandbox.backends.errors import BackendError, StaleEpoch
from taor_sandbox.backends.port import Backend, Sandbox
from taor_sandbox.errors import SnapshotFailed
from taor_sandbox.errors import StaleEpoch as StaleClaim
from taor_sandbox.records import Build
from taor_sandbox.store.builds import Builds
from taor_sandbox.tree import take_stock

_log = logging.getLogger(__name__)


class Pauses:
    """Puts sandboxes to sleep, and looks at those that wake."""

    def __init__(self, builds: Builds, backend: Backend) -> None:
        self._builds, self._backend = builds, backend

    async def pause(self, build: Build, sandbox: Sandbox | None) -> None:
        """Pause the sandbox; `sandbox` is a handle on it if its files are complete, so that they are worth a look.

        Raises StaleEpoch, and pauses nothing, when a newer owner was faster."""
        assert build.provider_id is not None
        still = AsyncExitStack()
        try:
            tree_sha256 = await self._stop(build, sandbox, still) if sandbox is not None else None
            await self._backend.pause(build.provider_id, build.fence.epoch)
        except StaleEpoch as error:
            raise StaleClaim() from error
        finally:
            with suppress(BackendError):  # what was frozen is asleep now
                await still.aclose()
        # Only now: one that was never paused goes on changing its files.
        if tree_sha256 is not None:
            await self._builds.paused(build, tree_sha256)

    async def came_back_whole(self, build: Build, sandbox: Sandbox) -> bool:
        """Whether the files are those of the pause, as far as that was noted."""
        if build.paused_tree_sha256 is None:
            return True
        try:
            is_whole = (await take_stock(sandbox)).tree_sha256 == build.paused_tree_sha256
        except SnapshotFailed as error:
            _log.error("the files of a woken sandbox cannot be read", exc_info=error)
            return False
        if not is_whole:
            _log.error("a sandbox woke with other files than it slept with", extra={"build_id": build.key.build_id})
        return is_whole

    async def _stop(self, build: Build, sandbox: Sandbox, still: AsyncExitStack) -> bytes | None:
        """Freeze until the stack is closed; returns the hash of the tree, None when it cannot be had."""
        try:
            await still.enter_async_context(sandbox.frozen())
            return (await take_stock(sandbox)).tree_sha256
        except (BackendError, SnapshotFailed) as error:
            extra = {"build_id": build.key.build_id}
            _log.warning("what is paused now cannot be compared when it wakes", exc_info=error, extra=extra)
            return None
