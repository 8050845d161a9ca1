"""A snapshot as a tar stream, made from its manifest and its blobs."""

import tarfile
from collections.abc import AsyncIterator

from taor_sandbox.blobs.port import Blobs
from taor_sandbox.contents import Contents
from taor_sandbox.manifest import Entry, EntryKind, Manifest

CHUNK_BYTES = 256 * 1024
_NANOSECONDS = 1_000_000_000


async def tar_of(manifest: Manifest, blobs: Blobs, tenant_id: str) -> AsyncIterator[bytes]:
    """The archive in pieces (pax, POSIX.1-2001); raises BlobMissing and BlobCorrupt."""
    buffer = bytearray()
    with Contents(manifest, blobs, tenant_id) as contents:
        for entry in manifest.entries:
            buffer += _header(entry)
            if entry.kind is EntryKind.FILE:
                async for piece in contents.get(entry):
                    buffer += piece
                    if len(buffer) >= CHUNK_BYTES:
                        yield bytes(buffer)
                        buffer.clear()
                buffer += bytes(-entry.size_bytes % tarfile.BLOCKSIZE)
            if len(buffer) >= CHUNK_BYTES:
                yield bytes(buffer)
                buffer.clear()
    yield bytes(buffer) + bytes(2 * tarfile.BLOCKSIZE)


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.path)
    info.mtime = entry.modified_ns // _NANOSECONDS
    match entry.kind:
        case EntryKind.FILE:
            info.mode, info.size = entry.mode, entry.size_bytes
        case EntryKind.LINK:
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.content
        case EntryKind.FOLDER:
            info.type, info.mode = tarfile.DIRTYPE, entry.mode
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
