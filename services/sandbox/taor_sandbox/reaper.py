"""Goes round and ends what nobody needs: kept sandboxes whose time is over, orphans, old snapshots' blobs.

It removes only what is proved ours and ownerless: a sandbox whose row says so. One without a row was not announced by
us, and is left alone.
"""

import asyncio
import logging
from itertools import islice

from taor_sandbox.backends.errors import BackendError
from taor_sandbox.backends.port import Backend
from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.rotation import Rotation
from taor_sandbox.sessions import Session, Sessions
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.sandboxes import Sandboxes
from taor_sandbox.store.snapshots import Snapshots

_COLLECTION_EVERY_ROUNDS = 120
_MOST_PER_ROUND = 200
_MOST_TENANTS = 10_000
_BLOB_REST_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class Reaper:
    """One round after the other, each bounded; what a round leaves, the next one takes."""

    def __init__(
        self, builds: Builds, sandboxes: Sandboxes, snapshots: Snapshots, sessions: Sessions, destroyer: Destroyer,
        backend: Backend, blobs: Blobs, rotation: Rotation,
    ) -> None:  # fmt: skip
        self._builds, self._sandboxes, self._snapshots = builds, sandboxes, snapshots
        self._sessions, self._destroyer, self._backend, self._blobs = sessions, destroyer, backend, blobs
        self._rotation = rotation

    async def run(self, pause_seconds: float) -> None:
        """Go round until cancelled, with a pause before each round."""
        number = 0
        while True:
            await asyncio.sleep(pause_seconds)
            number += 1
            try:
                await self.round()
                if number % _COLLECTION_EVERY_ROUNDS == 0:
                    await self.collect()
            except Exception:  # the loop's boundary: the next round tries again
                _log.exception("a round of the reaper failed")

    async def round(self) -> None:
        """End what is over now."""
        for tenant_id in await self._builds.tenants(_MOST_TENANTS):
            for key in await self._builds.expire_kept(tenant_id, _MOST_PER_ROUND):
                await self._sessions.forget(key)
            await self._sandboxes.abandon_creating(tenant_id)
            await self._destroyer.destroy_doomed_of_tenant(tenant_id, _MOST_PER_ROUND)
            await self._destroy_returned(tenant_id)
        await self._keep_alive()

    async def collect(self) -> None:
        """Delete the blobs that no snapshot names any more."""
        for tenant_id in await self._builds.tenants(_MOST_TENANTS):
            await self._snapshots.abandon_pending(tenant_id)
            try:
                await self._collect(tenant_id)
            except BlobError as error:
                _log.error("blobs could not be collected", exc_info=error)

    async def _collect(self, tenant_id: str) -> None:
        resting = [b.sha256 async for b in self._blobs.list(tenant_id) if b.age_seconds > _BLOB_REST_SECONDS]
        hashes = iter(resting)
        while portion := list(islice(hashes, _MOST_PER_ROUND)):
            async with self._snapshots.collection(tenant_id) as collection:
                for sha256 in await collection.unused(portion):
                    await self._blobs.delete(tenant_id, sha256)

    async def _destroy_returned(self, tenant_id: str) -> None:
        """A sandbox that its maker created after it was given up is there although its row says GONE."""
        listed = {listing.key: listing.provider_id for listing in await self._backend.list()}
        for key in await self._sandboxes.returned(tenant_id, list(listed)):
            await self._backend.destroy(listed[key])

    async def _keep_alive(self) -> None:
        due: list[Session] = []
        for session, provider_id in self._sessions.held():
            try:
                if self._rotation.is_due(session, await self._backend.keepalive(provider_id)):
                    due.append(session)
            except BackendError as error:
                _log.warning("a sandbox could not be kept alive", exc_info=error)
        await asyncio.gather(*map(self._rotation.rotate, due))
