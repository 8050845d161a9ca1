"""What only a folder can suffer."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest

from taor_chassis.clock import SystemClock
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import BlobCorrupt, BlobError

CONTENT = bytes(range(256)) * 10_000
HASH = hashlib.sha256(CONTENT).hexdigest()


async def test_a_rotten_content_is_found_when_it_is_read(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path, SystemClock())
    await blobs.put("local", HASH, BytesIO(CONTENT))
    (tmp_path / "local" / HASH[:2] / HASH).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(BlobCorrupt):
        async for _ in blobs.get("local", HASH):
            pass


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("no folder")
    with pytest.raises(BlobError):
        await DirectoryBlobs(tmp_path / "blobs", SystemClock()).put("local", HASH, BytesIO(CONTENT))
