"""Compares the files of two moments, by the snapshots of exactly these moments."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.changes import MOST_TEXT_BYTES, NO_DIFF, Change, TextDiff, changes, text_diff
from taor_sandbox.errors import NoSnapshot, ProjectMismatch, SandboxUnavailable
from taor_sandbox.manifest import Entry, EntryKind, Manifest
from taor_sandbox.records import Moment
from taor_sandbox.restore import read_manifest
from taor_sandbox.store.forks import FilesKind, ForkRows

MOST_CHANGES = 2_000
MOST_CHARACTERS = 1024 * 1024
"""Of all diffs together."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Some files that differ, and how many more do."""

    files: Sequence[tuple[Change, TextDiff]]
    left_out: int


class Comparison:
    """Reads manifests and contents of snapshots."""

    def __init__(self, rows: ForkRows, blobs: Blobs) -> None:
        self._rows = rows
        self._blobs = blobs

    async def compare(self, before: Moment, after: Moment) -> Difference:
        """What differs; raises NoSnapshot, ProjectMismatch, and SandboxUnavailable when the store cannot be read."""
        projects = [await self._rows.project(each.key) for each in (before, after)]
        if None not in projects and projects[0] != projects[1]:
            raise ProjectMismatch(after.key.build_id)
        try:
            found = iter(changes(await self._manifest(before), await self._manifest(after)))
            files, room = [], MOST_CHARACTERS
            for change in islice(found, MOST_CHANGES):
                diff = await self._diff(before.key.tenant_id, change) if room > 0 else NO_DIFF
                room -= len(diff.text)
                files.append((change, diff))
        except BlobError as error:
            raise SandboxUnavailable("the store of snapshots cannot be read; try again") from error
        return Difference(files, left_out=sum(1 for _ in found))

    async def _manifest(self, moment: Moment) -> Manifest:
        kind, snapshot = await self._rows.files_at(moment)
        if snapshot is not None:
            return await read_manifest(self._blobs, moment.key.tenant_id, snapshot)
        if kind is FilesKind.EMPTY:
            return Manifest(())
        raise NoSnapshot(moment.key.build_id, moment.log_sequence)

    async def _diff(self, tenant_id: str, change: Change) -> TextDiff:
        sides = [change.before, change.after]
        if any(side and not _may_be_text(side) for side in sides):
            return NO_DIFF
        before, after = [await self._content(tenant_id, side) if side else None for side in sides]
        return await asyncio.to_thread(text_diff, change.path, before, after)

    async def _content(self, tenant_id: str, entry: Entry) -> bytes:
        return b"".join([piece async for piece in self._blobs.get(tenant_id, entry.content)])


def _may_be_text(entry: Entry) -> bool:
    return entry.kind is EntryKind.FILE and entry.size_bytes <= MOST_TEXT_BYTES
