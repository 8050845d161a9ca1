"""A snapshot as a tar stream, made from its manifest and its blobs."""

import tarfile
from collections.abc import AsyncIterator

from taor_sandbox.blobs.port import BlobCorrupt, Blobs
from taor_sandbox.manifest import Entry, EntryKind, Manifest

CHUNK_BYTES = 256 * 1024
_NANOSECONDS = 1_000_000_000


async def tar_of(manifest: Manifest, blobs: Blobs, tenant_id: str) -> AsyncIterator[bytes]:
    """The archive in pieces (pax, POSIX.1-2001); raises BlobMissing and BlobCorrupt."""
    buffer = bytearray()
    for entry in manifest.entries:
        buffer += _header(entry)
        if entry.kind is EntryKind.FILE:
            size_bytes = 0
            async for piece in blobs.get(tenant_id, entry.content):
                size_bytes += len(piece)
                buffer += piece
                if len(buffer) >= CHUNK_BYTES:
                    yield bytes(buffer)
                    buffer.clear()
            if size_bytes != entry.size_bytes:
                raise BlobCorrupt(f"{entry.content} has {size_bytes} bytes instead of {entry.size_bytes}")
            buffer += bytes(-size_bytes % tarfile.BLOCKSIZE)
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
