"""Takes snapshots: a walk while everything inside stands still, then packs, then the upload, then the publication.

What a snapshot covers is an operation, read within the walk: the last one with every one up to it closed. Commands
that run in the background stand still during the walk too, so their files are consistent; nothing else is promised.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256

from taor_chassis.clock import Ids
from taor_sandbox import retention
from taor_sandbox.backends.errors import FileRefused, SandboxFrozen, SandboxGone, SandboxUnreachable
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.claims import Claims
from taor_sandbox.errors import SandboxUnavailable, SnapshotFailed, StaleGeneration
from taor_sandbox.journal import Journal
from taor_sandbox.listing import list_files
from taor_sandbox.manifest import Manifest
from taor_sandbox.operations import Dispatcher
from taor_sandbox.packs import Place, usable
from taor_sandbox.records import Build, BuildKey, Snapshot
from taor_sandbox.restore import read_manifest
from taor_sandbox.saving import LostByStore, save
from taor_sandbox.sessions import Sessions
from taor_sandbox.spool import Spool, Stowed, copy_out, stow
from taor_sandbox.store.snapshots import Covered, Snapshots
from taor_sandbox.tree import report_unreadable, take_stock

AT_ONCE = 2
"""Each takes a CPU for hashing and a disk for its spool; the others wait, and their sandboxes go on meanwhile."""
_MOST_LISTED = 100
_MOST_UNREAD_BYTES = 32 * 1024 * 1024
"""More is hashed inside, because most of it may be what the last snapshot has, as after an installation made anew."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Walked:
    """What one walk has found."""

    manifest: Manifest
    covered: Covered
    places: Mapping[str, Place]
    """Where the last snapshot has contents; the new one goes on using these."""
    by_themselves: Collection[str]
    """The contents of the last snapshot that lie in no pack."""
    copied: Mapping[str, int]
    """The files that were copied out of the sandbox, with their sizes in bytes."""


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
        try:
            return await self._attempt(build, newest, before)
        except LostByStore as lost:
            _log.error("%s; what was in them is stored again", lost)
            assert before is not None
            return await self._attempt(build, newest, before.without(lost.objects))

    async def _attempt(self, build: Build, newest: Snapshot | None, before: Manifest | None) -> Snapshot:
        """Raises LostByStore where `before` says of an object that it is there, and it is not."""
        sandbox = await self._sessions.sandbox(build)
        await self._journal.renew_if_wiped(sandbox, build)
        snapshot_id = self._ids.uuid7()
        with tempfile.TemporaryFile() as spool:
            async with self._still(build, sandbox):
                walked = await self._walk(build, sandbox, newest, before, spool)
            if walked is None:
                assert newest is not None
                return newest
            stowed = await asyncio.to_thread(stow, spool, walked.copied, {*walked.places, *walked.by_themselves})
            manifest = _told(walked, stowed)
            if _is_of(newest, manifest, walked.covered):
                assert newest is not None
                return newest
            try:
                await self._store(build, snapshot_id, walked.covered, manifest, stowed, spool)
            except (BlobError, SnapshotFailed):
                await self._snapshots.mark_failed(build.key, snapshot_id)
                raise
            except LostByStore:
                await self._snapshots.delete(build.key, [snapshot_id])
                raise
        return await self._publish(build, snapshot_id)

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
        self, build: Build, sandbox: Sandbox, newest: Snapshot | None, before: Manifest | None, spool: Spool
    ) -> _Walked | None:
        """Take stock, and copy out what the last snapshot lacks; None when nothing has changed.

        The store is not asked here: however slow it is, the sandbox stands still no longer for it.
        """
        covered = await self._snapshots.covered(build.key)
        is_same = newest is not None and newest.generation == build.generation
        manifest = await _look(sandbox, before, is_same=is_same)
        if not manifest.unread and _is_of(newest, manifest, covered):
            return None
        report_unreadable(manifest)
        # A published snapshot needs what it names: the store has all of that, or has lost it, which is found out later.
        places = usable(before.places, manifest.sizes) if before else {}
        by_themselves = before.paths_by_sha256.keys() - before.places.keys() if before else set()
        lacking = manifest.sizes.keys() - places.keys() - by_themselves
        copied = {**manifest.unread, **manifest.files_of(lacking)}
        await copy_out(sandbox, copied, manifest.locked(copied), spool)
        return _Walked(manifest, covered, places, by_themselves, copied)

    async def _store(
        self, build: Build, snapshot_id: str, covered: Covered, manifest: Manifest, stowed: Stowed, spool: Spool
    ) -> None:
        """Announce, then save; raises LostByStore."""
        manifest_sha256 = sha256(manifest.encode()).digest()
        await self._snapshots.announce(build, snapshot_id, covered, manifest, manifest_sha256)
        await save(self._blobs, build.key.tenant_id, manifest, manifest_sha256, stowed, spool)

    async def _publish(self, build: Build, snapshot_id: str) -> Snapshot:
        if not await self._snapshots.publish(build, snapshot_id):
            await self._snapshots.delete(build.key, [snapshot_id])
            raise StaleGeneration()
        await self._retire(build.key)
        published = await self._snapshots.get(build.key, snapshot_id)
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


async def _look(sandbox: Sandbox, before: Manifest | None, *, is_same: bool) -> Manifest:
    """The files as they stand. `is_same`: in the sandbox of `before`; another one's inodes say nothing.

    What no snapshot has is read when it is copied out. What one probably has is read inside, for it need not come out.
    """
    try:
        listed = await list_files(sandbox, before) if before is None or is_same else None
    except ValueError as error:
        raise SnapshotFailed(str(error)) from error
    if listed and (before is None or sum(listed.unread.values()) <= _MOST_UNREAD_BYTES):
        return listed
    return await take_stock(sandbox, before if is_same else None)


def _told(walked: _Walked, stowed: Stowed) -> Manifest:
    """What is in the spool tells the contents of what was not read, and must confirm that of what was."""
    for path in walked.copied:
        seen = stowed.hashes.get(path)
        if seen is None or not (path in walked.manifest.unread or path == walked.manifest.paths_by_sha256.get(seen)):
            raise SnapshotFailed(f"{path!a} changed while it was copied; try again")
    return walked.manifest.read(stowed.hashes).placed({**walked.places, **stowed.places})


def _is_of(newest: Snapshot | None, manifest: Manifest, covered: Covered) -> bool:
    """Whether the newest snapshot is of exactly these files, and covers as much."""
    return newest is not None and (newest.tree_sha256, newest.covers) == (manifest.tree_sha256, covered.position)
