"""Reads the contents of one snapshot: those that lie in packs, and those that are objects of their own."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator

from taor_sandbox.blobs.port import BlobCorrupt, Blobs
from taor_sandbox.manifest import Entry, Manifest
from taor_sandbox.packs import Pack

_WORTH_A_THREAD_BYTES = 64 * 1024


class Contents:
    """Use it in a `with`: each pack is fetched once, whole, into a file of ours, which goes at the end."""

    def __init__(self, manifest: Manifest, blobs: Blobs, tenant_id: str) -> None:
        self._manifest, self._blobs, self._tenant_id = manifest, blobs, tenant_id
        self._fetched: dict[Pack, int] = {}
        self._end = 0

    def __enter__(self) -> "Contents":
        self._file = tempfile.TemporaryFile(buffering=0)
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    async def get(self, entry: Entry) -> AsyncIterator[bytes]:
        """The content of a file in pieces, all of it; raises BlobMissing, and BlobCorrupt after the last piece."""
        size_bytes = 0
        async for piece in self._pieces(entry):
            size_bytes += len(piece)
            yield piece
        if size_bytes != entry.size_bytes:
            raise BlobCorrupt(f"{entry.content} has {size_bytes} bytes instead of {entry.size_bytes}")

    async def _pieces(self, entry: Entry) -> AsyncIterator[bytes]:
        place = self._manifest.places.get(entry.content)
        if place is None:
            async for piece in self._blobs.get(self._tenant_id, entry.content):
                yield piece
            return
        if place.pack not in self._fetched:
            await self._fetch(place.pack)
        start = self._fetched[place.pack] + place.offset
        if entry.size_bytes > _WORTH_A_THREAD_BYTES:
            yield await asyncio.to_thread(self._cut, entry, start)
        else:
            yield self._cut(entry, start)

    def _cut(self, entry: Entry, start: int) -> bytes:
        content = os.pread(self._file.fileno(), entry.size_bytes, start)
        if hashlib.sha256(content).hexdigest() != entry.content:
            raise BlobCorrupt(f"{entry.content} is not where it should be")
        return content

    async def _fetch(self, pack: Pack) -> None:
        end = self._end
        async for piece in self._blobs.get(self._tenant_id, pack.sha256):
            end += os.pwrite(self._file.fileno(), piece, end)
        self._fetched[pack], self._end = self._end, end
