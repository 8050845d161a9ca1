"""Contents in a folder of this machine: `<tenant>/<first two digits>/<hash>`."""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from taor_chassis.clock import Clock
from taor_sandbox.blobs.names import checked_hash, checked_tenant, is_hash
from taor_sandbox.blobs.port import BlobCorrupt, BlobError, BlobMissing, Blobs, StoredBlob

_CHUNK_BYTES = 1 << 20


class DirectoryBlobs(Blobs):
    """Implements `Blobs`. A content is written aside, flushed to the disk, then renamed to its name."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    async def missing(self, tenant_id: str, hashes: Collection[str]) -> set[str]:
        """Which have no file."""
        paths = {sha256: self._path(tenant_id, sha256) for sha256 in hashes}
        return await asyncio.to_thread(lambda: {sha256 for sha256, path in paths.items() if not path.exists()})

    async def put(self, tenant_id: str, sha256: str, content: BinaryIO) -> None:
        """Write a content that is on the disk when this returns; one that is there is left as it is."""
        try:
            await asyncio.to_thread(_store, self._path(tenant_id, sha256), sha256, content)
        except OSError as error:
            raise BlobError(f"the store cannot be written: {error}") from error

    async def get(self, tenant_id: str, sha256: str) -> AsyncIterator[bytes]:
        """Read a content, and hash it on the way."""
        digest = hashlib.sha256()
        try:
            with await asyncio.to_thread(self._path(tenant_id, sha256).open, "rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                    digest.update(chunk)
                    yield chunk
        except FileNotFoundError as error:
            raise BlobMissing(f"the store has no {sha256}") from error
        except OSError as error:
            raise BlobError(f"the store cannot be read: {error}") from error
        if digest.hexdigest() != sha256:
            raise BlobCorrupt(f"{sha256} has another content")

    async def delete(self, tenant_id: str, sha256: str) -> None:
        """Remove the file."""
        await asyncio.to_thread(self._path(tenant_id, sha256).unlink, missing_ok=True)

    async def list(self, tenant_id: str) -> AsyncIterator[StoredBlob]:
        """The files, with their age by this machine's clock."""
        now = self._clock.now().timestamp()
        for blob in await asyncio.to_thread(lambda: tuple(_stored(self._folder(tenant_id), now))):
            yield blob

    def _folder(self, tenant_id: str) -> Path:
        return self._root / checked_tenant(tenant_id)

    def _path(self, tenant_id: str, sha256: str) -> Path:
        return self._folder(tenant_id) / checked_hash(sha256)[:2] / sha256


def _store(path: Path, sha256: str, content: BinaryIO) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = hashlib.sha256()
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != sha256:
                raise BlobCorrupt(f"a content announced as {sha256} is {digest.hexdigest()}")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:  # whatever it was, no half a file stays
        Path(temporary).unlink(missing_ok=True)
        raise


def _stored(folder: Path, now: float) -> Iterator[StoredBlob]:
    for path in folder.glob("??/*"):
        if is_hash(path.name):
            with contextlib.suppress(FileNotFoundError):
                yield StoredBlob(path.name, now - path.stat().st_mtime)
