"""Compares the files of two moments, by the snapshots of exactly these moments."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.changes import MOST_TEXT_BYTES, NO_DIFF, Change, TextDiff, changes, text_diff
from taor_sandbox.contents import Contents
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
            sides = [await self._manifest(each) for each in (before, after)]
            found = iter(changes(*sides))
            files, room = [], MOST_CHARACTERS
            with ExitStack() as stack:
                old, new = [stack.enter_context(Contents(s, self._blobs, before.key.tenant_id)) for s in sides]
                for change in islice(found, MOST_CHANGES):
                    diff = await _diff(change, old, new) if room > 0 else NO_DIFF
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


async def _diff(change: Change, old: Contents, new: Contents) -> TextDiff:
    if any(side and not _may_be_text(side) for side in (change.before, change.after)):
        return NO_DIFF
    before, after = await _content(old, change.before), await _content(new, change.after)
    return await asyncio.to_thread(text_diff, change.path, before, after)


async def _content(contents: Contents, entry: Entry | None) -> bytes | None:
    return None if entry is None else b"".join([piece async for piece in contents.get(entry)])


def _may_be_text(entry: Entry) -> bool:
    return entry.kind is EntryKind.FILE and entry.size_bytes <= MOST_TEXT_BYTES
