"""Brings changed contents out of a sandbox: a tar into a file of ours during the walk, from there into the store."""

import contextlib
import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, BinaryIO, TypeAlias, cast

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobCorrupt, Blobs
from taor_sandbox.manifest import Manifest
from taor_sandbox.side_by_side import side_by_side
from taor_sandbox.tree import unlocked

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Spool: TypeAlias = IO[bytes]
"""A real file: its contents are read side by side, each from its own place."""

_PATHS_BYTES = 32 * 1024
_AT_ONCE = 16


async def copy_out(sandbox: Sandbox, manifest: Manifest, hashes: Iterable[str], spool: Spool) -> None:
    """Append a file of each of these contents to the spool, as tar archives one behind the other."""
    paths = [manifest.paths_by_sha256[each] for each in sorted(hashes)]
    async with unlocked(sandbox, manifest.locked(paths)):
        for batch in _batches(paths):
            async for chunk in sandbox.archive(batch):
                spool.write(chunk)


async def upload(blobs: Blobs, tenant_id: str, hashes: Mapping[str, str], spool: Spool) -> set[str]:
    """Store every file of the spool under the hash that stands for its path; returns the hashes of what is stored.

    A file that is not what the walk saw is not stored.
    """
    stored: set[str] = set()
    if not (hashes and spool.tell()):
        return stored
    spool.seek(0)

    async def put(member: tarfile.TarInfo) -> None:
        content = cast("BinaryIO", io.BufferedReader(_Window(spool.fileno(), member.offset_data, member.size)))
        with contextlib.suppress(BlobCorrupt):
            await blobs.put(tenant_id, hashes[member.name], content)
            stored.add(hashes[member.name])

    with tarfile.open(fileobj=spool, mode="r:", ignore_zeros=True, errorlevel=1) as archive:
        files = (member for member in archive if member.isreg() and member.name in hashes)
        await side_by_side(put, files, at_once=_AT_ONCE)
    return stored


class _Window(io.RawIOBase):
    """A part of an open file, with a place of its own in it."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor, self._start, self._size, self._place = descriptor, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        wanted = max(0, min(len(view), self._size - self._place))
        piece = os.pread(self._descriptor, wanted, self._start + self._place)
        view[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def _batches(paths: Iterable[str]) -> Iterable[list[str]]:
    """Paths in portions that fit onto a command line."""
    batch: list[str] = []
    size = 0
    for path in paths:
        size += len(path) + 1
        if batch and size > _PATHS_BYTES:
            yield batch
            batch, size = [], len(path) + 1
        batch.append(path)
    if batch:
        yield batch
