"""From a spool of tar archives into packs, and out of them again: in a real file, and a real folder of contents."""

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from taor_chassis.clock import SystemClock
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import BlobCorrupt
from taor_sandbox.contents import Contents
from taor_sandbox.manifest import Entry, EntryKind, Manifest
from taor_sandbox.packs import MOST_PACKED_BYTES, PACK_BYTES, Pack, Place
from taor_sandbox.saving import LostByStore, save
from taor_sandbox.spool import Spool, stow, upload

FILES = {"a": b"one", "b": b"", "deep/ü": bytes(range(256)) * 5000, "large": b"x" * (MOST_PACKED_BYTES + 1)}


@pytest.fixture
def spool() -> Iterator[Spool]:
    with tempfile.TemporaryFile() as file:
        yield file


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    return DirectoryBlobs(tmp_path, SystemClock())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sizes(files: Mapping[str, bytes]) -> dict[str, int]:
    return {path: len(content) for path, content in files.items()}


def fill(spool: Spool, files: Mapping[str, bytes]) -> None:
    """One archive per file, one behind the other."""
    for path, content in files.items():
        with tarfile.open(fileobj=spool, mode="w:") as archive:
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    spool.flush()


def entry(path: str, content: bytes) -> Entry:
    return Entry(path, EntryKind.FILE, 0o644, len(content), 0, "", sha256(content))


async def read(contents: Contents, wanted: Entry) -> bytes:
    return b"".join([piece async for piece in contents.get(wanted)])


async def test_small_contents_share_a_pack_and_all_come_back(spool: Spool, blobs: DirectoryBlobs) -> None:
    fill(spool, FILES)
    stowed = stow(spool, sizes(FILES), ())
    manifest = Manifest.of([entry(*each) for each in FILES.items()])
    manifest = Manifest(manifest.entries, places=stowed.places)
    assert set(stowed.objects) == manifest.objects
    assert len(stowed.objects) == 2, "a pack, and the large one"
    await upload(blobs, "local", stowed, spool)
    assert await blobs.missing("local", manifest.objects) == set()
    with Contents(manifest, blobs, "local") as contents:
        assert {each.path: await read(contents, each) for each in manifest.entries} == FILES


def test_a_pack_has_its_bound_and_the_same_files_make_the_same_packs(spool: Spool) -> None:
    files = {f"f{n}": bytes([n]) * MOST_PACKED_BYTES for n in range(9)}
    fill(spool, files)
    stowed = stow(spool, sizes(files), ())
    packs = {place.pack for place in stowed.places.values()}
    assert sorted(pack.size_bytes for pack in packs) == [MOST_PACKED_BYTES, PACK_BYTES, PACK_BYTES]
    assert stow(spool, sizes(files), ()) == stowed


def test_a_file_that_has_another_size_than_was_seen_is_left_out(spool: Spool) -> None:
    fill(spool, FILES)
    stowed = stow(spool, {**sizes(FILES), "a": 4, "large": 5}, ())
    assert stowed.hashes == {path: sha256(FILES[path]) for path in ("b", "deep/ü")}
    assert len(stowed.objects) == 1


def test_what_is_there_and_what_is_twice_is_not_packed_again(spool: Spool) -> None:
    files = {"there": b"t", "one": b"1", "two": b"1", "three": b"3"}
    fill(spool, files)
    stowed = stow(spool, sizes(files), {sha256(b"t")})
    assert stowed.hashes == {path: sha256(content) for path, content in files.items()}
    ((name, stretches),) = stowed.objects.items()
    assert (name, sum(each.size for each in stretches)) == (sha256(b"13"), 2)
    assert stowed.places.keys() == {sha256(b"1"), sha256(b"3")}


async def test_a_content_that_is_not_where_it_should_be_is_found(spool: Spool, blobs: DirectoryBlobs) -> None:
    """The pack itself is as it was written: only the hash of the content can tell."""
    both = b"first" + b"other"
    pack = Pack(sha256(both), len(both))
    await blobs.put("local", pack.sha256, io.BytesIO(both))
    wanted = entry("f", b"other")
    for offset, is_right in ((5, True), (0, False), (9, False)):
        with Contents(Manifest((wanted,), places={wanted.content: Place(pack, offset)}), blobs, "local") as contents:
            if is_right:
                assert await read(contents, wanted) == b"other"
                continue
            with pytest.raises(BlobCorrupt):
                await read(contents, wanted)


async def test_each_pack_is_fetched_once(spool: Spool, blobs: DirectoryBlobs) -> None:
    small = {f"f{n}": b"%d" % n for n in range(5)}
    fill(spool, small)
    stowed = stow(spool, sizes(small), ())
    await upload(blobs, "local", stowed, spool)
    entries = [entry(*each) for each in small.items()]
    with Contents(Manifest(tuple(entries), places=stowed.places), blobs, "local") as contents:
        await read(contents, entries[0])
        for name in stowed.objects:
            await blobs.delete("local", name)
        assert [await read(contents, each) for each in entries] == list(small.values())


async def lacking(*hashes: str) -> set[str]:
    """What a store says that it lacks."""
    return set(hashes)


async def test_the_manifest_is_stored_with_all_that_it_names(tmp_path: Path, spool: Spool) -> None:
    fill(spool, FILES)
    stowed, blobs = stow(spool, sizes(FILES), ()), DirectoryBlobs(tmp_path, SystemClock())
    manifest = Manifest.of([entry(*each) for each in FILES.items()]).placed(stowed.places)
    await save(blobs, "local", manifest, manifest.encode(), lacking("no matter"), stowed, spool)
    stored = {blob.sha256 async for blob in blobs.list("local")}
    assert stored == {sha256(manifest.encode()), *manifest.objects}


async def test_what_neither_the_store_nor_the_spool_has_is_told_and_nothing_is_stored(
    tmp_path: Path, spool: Spool
) -> None:
    fill(spool, FILES)
    stowed, blobs = stow(spool, sizes(FILES), ()), DirectoryBlobs(tmp_path, SystemClock())
    elsewhere = Place(Pack("ab" * 32, 9), 0)
    manifest = Manifest.of([entry(*each) for each in FILES.items()])
    manifest = manifest.placed({**stowed.places, sha256(b"one"): elsewhere})
    missing = lacking(elsewhere.pack.sha256, *stowed.objects)
    with pytest.raises(LostByStore) as lost:
        await save(blobs, "local", manifest, manifest.encode(), missing, stowed, spool)
    assert lost.value.objects == {elsewhere.pack.sha256}
    assert [blob async for blob in blobs.list("local")] == []


def test_what_is_there_is_not_stored_again_large_or_small(spool: Spool) -> None:
    fill(spool, FILES)
    stowed = stow(spool, sizes(FILES), {sha256(content) for content in FILES.values()})
    assert stowed.objects == {}
    assert stowed.hashes == {path: sha256(content) for path, content in FILES.items()}
