"""What every store of contents does, by the port; each adapter joins with one line in `blobs`."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest

from taor_chassis.clock import SystemClock
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import BlobCorrupt, BlobError, BlobMissing, Blobs

CONTENT = bytes(range(256)) * 10_000
HASH = hashlib.sha256(CONTENT).hexdigest()
EMPTY = hashlib.sha256().hexdigest()


@pytest.fixture(params=["directory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty store."""
    adapters = {"directory": lambda: DirectoryBlobs(tmp_path / "blobs", SystemClock())}
    return adapters[request.param]()


async def get(blobs: Blobs, sha256: str, tenant: str = "local") -> bytes:
    return b"".join([piece async for piece in blobs.get(tenant, sha256)])


async def test_what_was_stored_comes_back(blobs: Blobs) -> None:
    await blobs.put("local", HASH, BytesIO(CONTENT))
    await blobs.put("local", EMPTY, BytesIO())
    assert await get(blobs, HASH) == CONTENT
    assert await get(blobs, EMPTY) == b""


async def test_twice_is_no_error(blobs: Blobs) -> None:
    for _ in range(2):
        await blobs.put("local", HASH, BytesIO(CONTENT))
    assert [blob.sha256 async for blob in blobs.list("local")] == [HASH]


async def test_a_content_with_another_hash_is_refused_and_leaves_nothing(blobs: Blobs) -> None:
    with pytest.raises(BlobCorrupt):
        await blobs.put("local", HASH, BytesIO(b"something else"))
    assert await blobs.missing("local", [HASH]) == {HASH}
    assert [blob async for blob in blobs.list("local")] == []


async def test_missing_tells_what_is_not_there(blobs: Blobs) -> None:
    await blobs.put("local", EMPTY, BytesIO())
    assert await blobs.missing("local", [HASH, EMPTY]) == {HASH}
    with pytest.raises(BlobMissing):
        await get(blobs, HASH)


async def test_tenants_do_not_see_each_other(blobs: Blobs) -> None:
    await blobs.put("local", HASH, BytesIO(CONTENT))
    assert await blobs.missing("other", [HASH]) == {HASH}
    with pytest.raises(BlobMissing):
        await get(blobs, HASH, "other")


async def test_delete_may_be_repeated(blobs: Blobs) -> None:
    await blobs.put("local", HASH, BytesIO(CONTENT))
    for _ in range(2):
        await blobs.delete("local", HASH)
    assert await blobs.missing("local", [HASH]) == {HASH}


async def test_a_tenant_cannot_name_another_place(blobs: Blobs) -> None:
    with pytest.raises(BlobError):
        await blobs.put("../evil", HASH, BytesIO(CONTENT))


async def test_a_rotten_content_is_found_when_it_is_read(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path, SystemClock())
    await blobs.put("local", HASH, BytesIO(CONTENT))
    (tmp_path / "local" / HASH[:2] / HASH).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(BlobCorrupt):
        await get(blobs, HASH)


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("no folder")
    with pytest.raises(BlobError):
        await DirectoryBlobs(tmp_path / "blobs", SystemClock()).put("local", HASH, BytesIO(CONTENT))
