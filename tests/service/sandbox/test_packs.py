"""Packs through the life of a build: what is alive of them stays, the rest goes, and older snapshots come back too."""

from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_chassis.clock import SystemClock
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.contents import Contents
from taor_sandbox.manifest import EntryKind, Manifest
from taor_sandbox.packs import Pack
from taor_sandbox.records import BuildKey, Snapshot
from taor_sandbox.restore import read_manifest
from taor_sandbox.store.snapshots import Snapshots
from tests.service.sandbox.harness import Harness, reason_of

LOOK = "sha256sum f* | sha256sum"


def make(files: str, size: str = "1000") -> str:
    """A command that fills files anew."""
    return f"for i in $(seq {files}); do head -c {size} /dev/urandom > f$i; done; {LOOK}"


async def newest(harness: Harness) -> Snapshot:
    found = await Snapshots(harness.pool).newest(BuildKey("local", harness.build_id))
    assert found is not None
    return found


async def manifest(harness: Harness) -> Manifest:
    """What the newest snapshot holds."""
    return await read_manifest(blobs(harness), "local", await newest(harness))


def blobs(harness: Harness) -> DirectoryBlobs:
    return DirectoryBlobs(harness.config.blobs, SystemClock())


async def packs(harness: Harness) -> set[Pack]:
    return {place.pack for place in (await manifest(harness)).places.values()}


async def collect(harness: Harness) -> set[str]:
    """Let the collection delete what nobody names; the names of what is left."""
    harness.age_blobs()
    await harness.reaper.collect()
    return {path.name for path in harness.config.blobs.glob("*/*/*")}


async def anew(harness: Harness) -> None:
    """Go on in another sandbox, with the files of the newest snapshot."""
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    await harness.attach()


async def test_a_pack_stays_while_one_content_of_it_is_needed_by_any_build(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, make("9"))
    await harness.snapshot()
    (first,) = await packs(harness)
    fork = harness.beside()
    request = pb.PinSnapshotRequest(
        build_id=fork.build_id, origin_build_id=harness.build_id, project_id="project", log_sequence=1
    )
    await fork.stub.PinSnapshot(request)
    for sequence in range(2, 9):  # more snapshots than are kept
        files = "5" if sequence == 2 else "1"
        looked = (await harness.bash(sequence, make(files))).text
        await harness.snapshot()
    assert first in await packs(harness), "four ninths of it are alive"
    assert first.sha256 in await collect(harness)
    await anew(harness)
    assert (await harness.bash(20, LOOK)).text == looked

    await harness.bash(21, make("9"))
    for sequence in range(22, 29):
        await harness.bash(sequence, make("1"))
        await harness.snapshot()
    assert first.sha256 in await collect(harness), "the fork needs it"
    await fork.attach()
    assert (await fork.bash(30, "cat f*|wc -c")).text == "9000\n"
    await fork.bash(31, make("9"))
    await fork.snapshot()
    assert first.sha256 in await collect(harness), "it began with it"
    deletion = pb.DeleteProjectRequest(project_id="project")
    await harness.until(lambda: harness.stub.DeleteProject(deletion), lambda response: response.complete)
    assert await collect(harness) == set()


async def test_what_little_is_alive_of_a_pack_is_packed_anew_and_the_pack_goes(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, make("9"))
    await harness.snapshot()
    (first,) = await packs(harness)
    await harness.bash(2, make("7"))
    await harness.snapshot()
    (second,) = await packs(harness)
    assert (first.size_bytes, second.size_bytes) == (9000, 9000), "two ninths of the first were alive"
    for sequence in range(3, 8):
        looked = (await harness.bash(sequence, make("1"))).text
        await harness.snapshot()
    left = await collect(harness)
    assert first.sha256 not in left
    assert second.sha256 in left
    await anew(harness)
    assert (await harness.bash(9, LOOK)).text == looked


async def test_many_snapshots_of_one_changed_file_leave_few_objects(harness: Harness) -> None:
    await harness.attach()
    for sequence in range(1, 25):
        looked = (await harness.bash(sequence, f"echo {sequence} > f{sequence}; {LOOK}")).text
        await harness.snapshot()
        assert len(await packs(harness)) <= 17
    assert len(await collect(harness)) <= 5 + 17 + 4, "manifests, and packs of the newest five"
    await anew(harness)
    assert (await harness.bash(50, LOOK)).text == looked


async def test_a_snapshot_from_before_there_were_packs_comes_back_and_goes_on(harness: Harness) -> None:
    await harness.attach()
    looked = (await harness.bash(1, f"{make('3')}; mkdir d; ln -s f1 l")).text
    await harness.snapshot()
    await make_old(harness)
    await harness.bash(2, "echo new > g1")
    await harness.snapshot()
    after = await manifest(harness)
    assert len(after.places) == 1, "what is there is not stored twice"
    await anew(harness)
    assert (await harness.bash(3, f"{LOOK}; cat g1; readlink l")).text == f"{looked}new\nf1\n"


async def make_old(harness: Harness) -> None:
    """Make the newest snapshot what it was before: each content an object, and a manifest that knows of no place."""
    found, store = await manifest(harness), blobs(harness)
    with Contents(found, store, "local") as contents:
        for entry in found.entries:
            if entry.kind is EntryKind.FILE:
                content = b"".join([piece async for piece in contents.get(entry)])
                await store.put("local", entry.content, BytesIO(content))
    for pack in await packs(harness):
        await store.delete("local", pack.sha256)
    old = replace(found, places={})
    encoded = old.encode()
    assert all(line.count(b",") == 6 for line in encoded.splitlines()), "the rows as they were"
    name = sha256(encoded).digest()
    await store.put("local", name.hex(), BytesIO(encoded))
    await harness.pool.execute(
        "UPDATE snapshots SET manifest_sha256 = $1, blobs = $2", name, [name, *map(bytes.fromhex, old.objects)]
    )


async def test_a_pack_that_the_store_has_lost_is_made_again_from_the_sandbox(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, make("9"))
    await harness.snapshot()
    for pack in await packs(harness):
        await blobs(harness).delete("local", pack.sha256)
    await harness.restart()  # a process that has not seen them there a moment ago
    looked = (await harness.bash(2, f"echo x > f10; {LOOK}")).text
    await harness.snapshot()
    await anew(harness)
    assert (await harness.bash(3, LOOK)).text == looked


async def test_no_manifest_is_there_before_all_packs_are(harness: Harness) -> None:
    """A pack cannot be written, for a file stands where its folder should be: then nothing of the snapshot counts."""
    await harness.attach()
    await harness.bash(1, make("9"))
    await harness.snapshot()
    before = await manifest(harness)
    shelves = {path.parent.name for path in harness.config.blobs.glob("*/*/*")}
    for shelf in {f"{number:02x}" for number in range(256)} - shelves:
        (harness.config.blobs / "local" / shelf).write_text("no folder")
    await harness.bash(2, make("9"))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.snapshot()
    assert reason_of(raised) == "SNAPSHOT_FAILED"
    assert await manifest(harness) == before
