"""Takes snapshots: a walk while everything inside stands still, then the upload, then the publication.

What a snapshot covers is an operation, read within the walk: the last one with every one up to it closed. Commands
that run in the background stand still during the walk too, so their files are consistent; nothing else is promised.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from taor_chassis.clock import Ids
from taor_sandbox import retention
from taor_sandbox.backends.errors import FileRefused, SandboxFrozen, SandboxGone, SandboxUnreachable
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.claims import Claims
from taor_sandbox.errors import SandboxUnavailable, SnapshotFailed, StaleGeneration
from taor_sandbox.journal import Journal
from taor_sandbox.manifest import Manifest
from taor_sandbox.operations import Dispatcher
from taor_sandbox.records import Build, BuildKey, Snapshot
from taor_sandbox.restore import read_manifest
from taor_sandbox.sessions import Sessions
from taor_sandbox.spool import Spool, copy_out, upload
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tree import take_stock

AT_ONCE = 2
"""Each takes a CPU for hashing and a disk for its spool; the others wait, and their sandboxes go on meanwhile."""
_MOST_LISTED = 100
_MOST_NAMED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Walked:
    """What one walk has found and announced."""

    snapshot_id: str
    manifest: Manifest
    manifest_sha256: str
    copied: frozenset[str]
    """The contents that were copied out of the sandbox."""


class SnapshotTaker:
    """Takes and retires snapshots."""

    def __init__(
        self, claims: Claims, sessions: Sessions, dispatcher: Dispatcher, journal: Journal, snapshots: Snapshots,
        blobs: Blobs, ids: Ids,
    ) -> None:  # fmt: skip
        self._claims, self._sessions, self._dispatcher, self._journal = claims, sessions, dispatcher, journal
        self._snapshots, self._blobs, self._ids = snapshots, blobs, ids
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def take(self, key: BuildKey, epoch: int, generation: int) -> Snapshot:
        """A snapshot of the files as they stand, or the newest when nothing has changed; raises SnapshotFailed."""
        build = await self._claims.ready(key, epoch, generation)
        try:
            async with self._at_once:
                return await self._take(build)
        except BlobError as error:
            _log.error("a snapshot could not be stored", exc_info=error, extra={"build_id": key.build_id})
            raise SnapshotFailed("the files could not be stored; try again") from error
        except FileRefused as error:
            raise SnapshotFailed(f"the files could not be read: {error}") from error
        except SandboxFrozen as error:
            raise SandboxUnavailable("another snapshot is being taken; try again") from error
        except (SandboxGone, SandboxUnreachable) as error:
            await self._sessions[key].let_go()
            raise StaleGeneration("the sandbox was lost; attach again") from error

    async def _take(self, build: Build) -> Snapshot:
        newest = await self._snapshots.newest(build.key)
        before = await self._manifest_before(build, newest)
        sandbox = await self._sessions.sandbox(build)
        await self._journal.renew_if_wiped(sandbox, build)
        snapshot_id = self._ids.uuid7()
        try:
            with tempfile.TemporaryFile() as spool:
                async with self._still(build, sandbox):
                    walked = await self._walk(build, snapshot_id, sandbox, newest, before, spool)
                if walked is None:
                    assert newest is not None
                    return newest
                await self._upload(build, sandbox, walked, spool)
        except (BlobError, SnapshotFailed):
            await self._snapshots.mark_failed(build.key, snapshot_id)
            raise
        return await self._publish(build, walked)

    @asynccontextmanager
    async def _still(self, build: Build, sandbox: Sandbox) -> AsyncIterator[None]:
        """While held, no command starts or runs, and every finished one has its row closed."""
        async with self._sessions[build.key].starting, sandbox.frozen():
            if await self._journal.is_wiped(sandbox, await self._claims.build(build.key)):
                raise SnapshotFailed("the journal was deleted meanwhile; try again")
            # Half of a command's effect in a snapshot that does not cover it would be there one and a half times
            # after a restore and a redo.
            if await self._dispatcher.close_finished(build, sandbox):
                raise SandboxUnavailable("a command is running; try again when it has ended")
            yield

    async def _walk(
        self, build: Build, snapshot_id: str, sandbox: Sandbox, newest: Snapshot | None, before: Manifest | None,
        spool: Spool,
    ) -> _Walked | None:  # fmt: skip
        """Take stock, announce, and copy out what the last snapshot lacks; None when nothing has changed.

        The store is not asked here: however slow it is, the sandbox stands still no longer for it.
        """
        covered = await self._snapshots.covered(build.key)
        is_same = newest is not None and newest.generation == build.generation
        manifest = await take_stock(sandbox, before if is_same else None)  # another sandbox's inodes say nothing
        if newest and (newest.tree_sha256, newest.covers) == (manifest.tree_sha256, covered.position):
            return None
        if manifest.unreadable:
            paths = ", ".join(map(ascii, manifest.unreadable[:_MOST_NAMED]))
            _log.error("%d paths are left out, unreadable: %s", len(manifest.unreadable), paths)
        walked = _Walked(snapshot_id, manifest, sha256(manifest.encode()).hexdigest(), _contents(manifest, before))
        hash_of_manifest = bytes.fromhex(walked.manifest_sha256)
        await self._snapshots.announce(build, walked.snapshot_id, covered, manifest, hash_of_manifest)
        await copy_out(sandbox, manifest, walked.copied, spool)
        return walked

    async def _upload(self, build: Build, sandbox: Sandbox, walked: _Walked, spool: Spool) -> None:
        """Store what the store lacks, and then the manifest."""
        tenant_id, manifest = build.key.tenant_id, walked.manifest
        missing = await self._blobs.missing(tenant_id, manifest.paths_by_sha256.keys())
        if lost := missing - walked.copied:
            _log.error("the store has lost %d contents of the last snapshot; they are stored again", len(lost))
            async with self._still(build, sandbox):
                await copy_out(sandbox, manifest, lost, spool)
        hashes = {manifest.paths_by_sha256[each]: each for each in missing}
        if lacking := missing - await upload(self._blobs, tenant_id, hashes, spool):
            raise SnapshotFailed(f"{len(lacking)} files changed while they were copied; try again")
        await self._blobs.put(tenant_id, walked.manifest_sha256, BytesIO(walked.manifest.encode()))

    async def _publish(self, build: Build, walked: _Walked) -> Snapshot:
        if not await self._snapshots.publish(build, walked.snapshot_id):
            await self._snapshots.delete(build.key, [walked.snapshot_id])
            raise StaleGeneration()
        await self._retire(build.key)
        published = await self._snapshots.get(build.key, walked.snapshot_id)
        assert published is not None
        return published

    async def _retire(self, key: BuildKey) -> None:
        listed = await self._snapshots.list(key, _MOST_LISTED)
        old = retention.superfluous(listed, await self._snapshots.pinned(key))
        if old:
            await self._snapshots.delete(key, [each.snapshot_id for each in old])

    async def _manifest_before(self, build: Build, newest: Snapshot | None) -> Manifest | None:
        """What the last snapshot holds."""
        if newest is None:
            return None
        try:
            return await read_manifest(self._blobs, build.key.tenant_id, newest)
        except BlobError as error:
            _log.warning("the newest manifest cannot be read; everything is read anew", exc_info=error)
            return None


def _contents(manifest: Manifest, before: Manifest | None) -> frozenset[str]:
    """What a manifest holds and the one before does not: the store has the rest, for a published snapshot needs it."""
    there = before.paths_by_sha256.keys() if before else ()
    return frozenset(manifest.paths_by_sha256.keys() - there)
