"""What every store of contents does, by the port; each adapter joins in the fixture `blobs`."""

import asyncio
import hashlib
from io import BytesIO

import pytest

from taor_sandbox.blobs.port import BlobCorrupt, BlobError, BlobMissing, Blobs

CONTENT = bytes(range(256)) * 10_000
HASH = hashlib.sha256(CONTENT).hexdigest()
EMPTY = hashlib.sha256().hexdigest()


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


async def test_many_writers_of_one_content_leave_one(blobs: Blobs) -> None:
    await asyncio.gather(*(blobs.put("local", HASH, BytesIO(CONTENT)) for _ in range(16)))
    assert [blob.sha256 async for blob in blobs.list("local")] == [HASH]
    assert await get(blobs, HASH) == CONTENT


async def test_a_new_content_is_young(blobs: Blobs) -> None:
    await blobs.put("local", EMPTY, BytesIO())
    (blob,) = [blob async for blob in blobs.list("local")]
    assert -2 < blob.age_seconds < 60


@pytest.mark.parametrize("count", [1, 3, 120])
async def test_missing_is_right_whatever_their_number(blobs: Blobs, count: int) -> None:
    contents = {hashlib.sha256(body).hexdigest(): body for body in (b"%d" % number for number in range(count))}
    stored = sorted(contents)[::3]
    await asyncio.gather(*(blobs.put("local", sha256, BytesIO(contents[sha256])) for sha256 in stored))
    assert await blobs.missing("local", contents) == contents.keys() - set(stored)
    assert await blobs.missing("local", []) == set()
