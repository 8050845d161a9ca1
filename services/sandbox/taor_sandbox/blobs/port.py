"""The port of a store of contents, each under its own SHA-256, so that what is there needs no second upload."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class BlobError(Exception):
    """Base of what a store raises on purpose: it cannot be used now, or holds something wrong."""


class BlobMissing(BlobError):
    """The store has no such content."""


class BlobCorrupt(BlobError):
    """A content does not have the hash that it stands under, or was announced with."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One content in the store."""

    sha256: str
    age_seconds: float


class Blobs(Protocol):
    """A store of contents, by tenant; hashes are lower-case hex. A content is there whole, or not at all."""

    async def missing(self, tenant_id: str, hashes: Collection[str]) -> set[str]:
        """Which of these the store does not have."""
        ...

    async def put(self, tenant_id: str, sha256: str, content: BinaryIO) -> None:
        """Store a content for good; raises BlobCorrupt when it does not have that hash. Twice is no error."""
        ...

    def get(self, tenant_id: str, sha256: str) -> AsyncIterator[bytes]:
        """The content in pieces; raises BlobMissing, and BlobCorrupt after the last piece."""
        ...

    async def delete(self, tenant_id: str, sha256: str) -> None:
        """Remove a content; gone already is no error."""
        ...

    def list(self, tenant_id: str) -> AsyncIterator[StoredBlob]:
        """Every content of a tenant, in any order."""
        ...
