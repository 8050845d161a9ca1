"""A snapshot as a zip stream, made from its manifest and its blobs."""

import asyncio
import stat
import time
import zipfile
from collections.abc import AsyncIterator

from taor_sandbox.blobs.port import Blobs
from taor_sandbox.contents import Contents
from taor_sandbox.manifest import Entry, EntryKind, Manifest

_NANOSECONDS = 1_000_000_000
_OLDEST = (1980, 1, 1, 0, 0, 0)
_KINDS = {EntryKind.FILE: stat.S_IFREG, EntryKind.LINK: stat.S_IFLNK, EntryKind.FOLDER: stat.S_IFDIR}


class _Outgoing:
    """What the archive has written and nobody has taken yet; it cannot be sought in, as a stream cannot."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


async def zip_of(manifest: Manifest, blobs: Blobs, tenant_id: str) -> AsyncIterator[bytes]:
    """The archive in pieces; raises BlobMissing and BlobCorrupt. Compression happens beside the loop."""
    outgoing = _Outgoing()
    archive = zipfile.ZipFile(outgoing, "w", compresslevel=1)  # type: ignore[call-overload] # writing is all it needs
    with Contents(manifest, blobs, tenant_id) as contents:
        for entry in manifest.entries:
            if entry.kind is not EntryKind.FILE:
                archive.writestr(_header(entry), entry.content.encode("utf-8", "surrogateescape"), zipfile.ZIP_STORED)
                continue
            with archive.open(_header(entry), "w", force_zip64=True) as target:
                async for piece in contents.get(entry):
                    await asyncio.to_thread(target.write, piece)
                    yield outgoing.take()
    archive.close()
    yield outgoing.take()


def _header(entry: Entry) -> zipfile.ZipInfo:
    name = entry.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    changed = time.localtime(entry.modified_ns // _NANOSECONDS)[:6]
    info = zipfile.ZipInfo(name + "/" if entry.kind is EntryKind.FOLDER else name, max(changed, _OLDEST))
    mode = 0o777 if entry.kind is EntryKind.LINK else entry.mode
    info.external_attr = (_KINDS[entry.kind] | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
