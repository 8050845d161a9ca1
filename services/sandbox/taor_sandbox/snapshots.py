"""Takes snapshots: a walk while everything inside stands still, then packs, then the upload, then the publication.

What a snapshot covers is an operation, read within the walk: the last one with every one up to it closed. Commands
that run in the background stand still during the walk too, so their files are consistent; nothing else is promised.
"""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Sequence, Set
from dataclasses import replace
from typing import TypeGuard

from taor_chassis.clock import Clock, Ids
from taor_sandbox import retention
from taor_sandbox.backends.errors import FileRefused, SandboxFrozen, SandboxGone, SandboxUnreachable
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.claims import Claims
from taor_sandbox.errors import SandboxUnavailable, SnapshotFailed, StaleGeneration
from taor_sandbox.journal import Journal
from taor_sandbox.listing import Listing
from taor_sandbox.manifest import Manifest
from taor_sandbox.memory import Last, Memory
from taor_sandbox.operations import Dispatcher
from taor_sandbox.records import Build, BuildKey, Snapshot
from taor_sandbox.restore import read_manifest
from taor_sandbox.saving import LostByStore, save
from taor_sandbox.sessions import Sessions
from taor_sandbox.side_by_side import begun, both
from taor_sandbox.spool import Spool, Stowed, stow
from taor_sandbox.store.snapshots import Covered, Snapshots
from taor_sandbox.walk import Walked, copy, look, told

AT_ONCE = 2
"""Each takes a CPU for hashing and a disk for its spool; the others wait, and their sandboxes go on meanwhile."""
_MOST_LISTED = 100
_TRUSTED_SECONDS = 60.0
"""So long a store is believed to have what it had: it loses nothing by itself, only by somebody's hand."""

_log = logging.getLogger(__name__)


class SnapshotTaker:
    """Takes and retires snapshots."""

    def __init__(
        self, claims: Claims, sessions: Sessions, dispatcher: Dispatcher, journal: Journal, snapshots: Snapshots,
        blobs: Blobs, ids: Ids, clock: Clock,
    ) -> None:  # fmt: skip
        self._claims, self._sessions, self._dispatcher, self._journal = claims, sessions, dispatcher, journal
        self._snapshots, self._blobs, self._ids, self._clock = snapshots, blobs, ids, clock
        self._memory = Memory()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def take(self, key: BuildKey, epoch: int, generation: int) -> Snapshot:
        """A snapshot of the files as they stand, or the newest when nothing has changed; raises SnapshotFailed."""
        build = await self._claims.ready(key, epoch, generation)
        try:
            async with self._at_once:
                return await self._take(build)
        except BlobError as error:
            extra = {"alarm": "snapshot", "build_id": key.build_id}
            _log.error("a snapshot could not be stored", exc_info=error, extra=extra)
            raise SnapshotFailed("the files could not be stored; try again") from error
        except FileRefused as error:
            raise SnapshotFailed(f"the files could not be read: {error}") from error
        except SandboxFrozen as error:
            raise SandboxUnavailable("another snapshot is being taken; try again") from error
        except (SandboxGone, SandboxUnreachable) as error:
            await self._sessions[key].let_go()
            raise StaleGeneration("the sandbox was lost; attach again") from error

    async def _take(self, build: Build) -> Snapshot:
        sandbox, listed = await both(self._sandbox(build), self._snapshots.list(build.key, _MOST_LISTED))
        last = await self._last(build.key, listed[0]) if listed else None
        try:
            return await self._attempt(build, sandbox, listed, last)
        except LostByStore as lost:
            _log.error("%s; what was in them is stored again", lost)
            assert last is not None
            rest = Last(Listing(last.listing.manifest.without(lost.objects)))
            return await self._attempt(build, sandbox, listed, rest)

    async def _sandbox(self, build: Build) -> Sandbox:
        sandbox = await self._sessions.sandbox(build)
        await self._journal.renew_if_wiped(sandbox, build)
        return sandbox

    async def _attempt(self, build: Build, sandbox: Sandbox, listed: Sequence[Snapshot], last: Last | None) -> Snapshot:
        """Raises LostByStore where `last` says of an object that it is there, and it is not."""
        newest = listed[0] if listed else None
        began = self._clock.monotonic_seconds()
        is_trusted = last is not None and began - last.confirmed_seconds < _TRUSTED_SECONDS
        wanted = () if last is None or is_trusted else last.listing.manifest.objects
        looking = self._blobs.missing(build.key.tenant_id, wanted)
        with tempfile.TemporaryFile() as spool:
            async with begun(looking) as missing:
                covered, walked = await self._walk(build, sandbox, newest, last.listing if last else None, spool)
                stowed = await asyncio.to_thread(stow, spool, walked.copied, walked.there)
                now = told(walked, stowed)
                if _is_of(newest, now.manifest, covered):
                    return self._unchanged(build.key, newest, last, now)
                snapshot_id, encoded = self._ids.uuid7(), now.manifest.encode()
                after = newest.snapshot_id if newest else None
                if not await self._snapshots.announce(build, snapshot_id, covered, now.manifest, encoded, after):
                    raise SnapshotFailed("another snapshot has come in between; try again")
                await self._save(build.key, snapshot_id, now.manifest, encoded, missing, stowed, spool)
        published = await self._publish(build, snapshot_id, retention.superfluous(listed, keep=retention.KEEP - 1))
        confirmed = last.confirmed_seconds if last and is_trusted else began
        self._memory.keep(build.key, published.manifest_sha256, Last(now, confirmed))
        return published

    async def _walk(
        self, build: Build, sandbox: Sandbox, newest: Snapshot | None, last: Listing | None, spool: Spool
    ) -> tuple[Covered, Walked]:
        """What the files cover, and what was copied out of them; the sandbox goes on afterwards."""
        is_same = newest is not None and newest.generation == build.generation
        async with self._sessions[build.key].starting, sandbox.frozen():  # no command starts or runs
            covered, seen = await both(self._covered(build, sandbox), look(sandbox, last, is_same=is_same))
            if not seen.manifest.unread and _is_of(newest, seen.manifest, covered):
                return covered, Walked(seen)
            return covered, await copy(sandbox, seen, last, spool)

    async def _covered(self, build: Build, sandbox: Sandbox) -> Covered:
        """The last operation that the files cover, where everything stands still and what has ended is recorded."""
        # Half of a command's effect in a snapshot that does not cover it would be there one and a half times
        # after a restore and a redo.
        if await self._dispatcher.close_finished(build, sandbox):
            raise SandboxUnavailable("a command is running; try again when it has ended")
        covered = await self._snapshots.covered(build.key)
        if await self._journal.is_wiped(sandbox, await self._claims.build(build.key)):
            raise SnapshotFailed("the journal was deleted meanwhile; try again")
        return covered

    async def _save(
        self, key: BuildKey, snapshot_id: str, manifest: Manifest, encoded: bytes, missing: Awaitable[Set[str]],
        stowed: Stowed, spool: Spool,
    ) -> None:  # fmt: skip
        """What was announced; raises LostByStore."""
        try:
            await save(self._blobs, key.tenant_id, manifest, encoded, missing, stowed, spool)
        except BlobError:
            await self._snapshots.mark_failed(key, snapshot_id)
            raise
        except LostByStore:
            await self._snapshots.delete(key, [snapshot_id])
            raise

    async def _publish(self, build: Build, snapshot_id: str, superfluous: Sequence[str]) -> Snapshot:
        published = await self._snapshots.publish(build, snapshot_id, superfluous)
        if published is None:
            await self._snapshots.delete(build.key, [snapshot_id])
            raise StaleGeneration()
        return published

    async def _last(self, key: BuildKey, newest: Snapshot) -> Last | None:
        """What the newest snapshot holds; None where that cannot be read."""
        if (remembered := self._memory.of(key, newest.manifest_sha256)) is not None:
            return remembered
        try:
            return Last(Listing(await read_manifest(self._blobs, key.tenant_id, newest)))
        except BlobError as error:
            _log.warning("the newest manifest cannot be read; everything is read anew", exc_info=error)
            return None

    def _unchanged(self, key: BuildKey, newest: Snapshot, last: Last | None, now: Listing) -> Snapshot:
        """The newest snapshot still holds all there is; its files may have other times."""
        if last is not None:
            placed = now.manifest.placed(last.listing.manifest.places)
            self._memory.keep(key, newest.manifest_sha256, replace(last, listing=replace(now, manifest=placed)))
        return newest


def _is_of(newest: Snapshot | None, manifest: Manifest, covered: Covered) -> TypeGuard[Snapshot]:
    """Whether the newest snapshot is of exactly these files, and covers as much."""
    return newest is not None and (newest.tree_sha256, newest.covers) == (manifest.tree_sha256, covered.position)
