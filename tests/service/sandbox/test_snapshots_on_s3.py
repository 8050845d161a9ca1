"""Snapshots in a bucket of a real S3 server, which is cut off and killed while they are taken and restored."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.app import running_backend, running_blobs
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness, reason_of
from tests.support.cut_proxy import CutProxy, Fault, cut_proxy
from tests.support.seaweed import BUCKET, Seaweed

MANY_FILES_BYTES = 300 * 20_000
MANY_FILES = 'for i in $(seq 300); do head -c 20000 /dev/urandom > "f$i"; done; sha256sum f* | sha256sum'


@pytest.fixture
async def way_to_s3(own_seaweed: Seaweed) -> AsyncIterator[tuple[CutProxy, str]]:
    """What lies between the service and its store, and where the service finds it."""
    async with cut_proxy(own_seaweed.endpoint.removeprefix("http://")) as (proxy, address):
        yield proxy, f"http://{address}"


@pytest.fixture
async def on_s3(
    sandbox_config: SandboxConfig, way_to_s3: tuple[CutProxy, str], s3_credentials: None
) -> AsyncIterator[Harness]:
    """A service whose snapshots go into a bucket."""
    config = replace(sandbox_config, s3_bucket=BUCKET, s3_endpoint=way_to_s3[1], s3_prefix="taor/")
    async with running_backend(config) as backend:
        harness = Harness(config, backend)
        await harness.start()
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()


async def stored(harness: Harness) -> set[str]:
    """The hashes of what is in the bucket."""
    async with running_blobs(harness.config) as blobs:
        return {blob.sha256 async for blob in blobs.list("local")}


async def announced(harness: Harness) -> int:
    """How many snapshots are under way."""
    count: int = await harness.pool.fetchval("SELECT count(*) FROM snapshots WHERE state = 'PENDING'")
    return count


async def test_only_what_has_changed_is_uploaded_and_all_of_it_comes_back(on_s3: Harness) -> None:
    await on_s3.attach()
    before = await on_s3.bash(1, MANY_FILES)
    await on_s3.snapshot()
    first = await stored(on_s3)
    assert len(first) == 2, "all files in a pack, and the manifest"
    await on_s3.write(2, "one more", "x")
    await on_s3.snapshot()
    assert len(await stored(on_s3) - first) == 2, "a pack of one file, and the new manifest"
    await on_s3.release(pb.ReleaseSandboxRequest.DESTROY)

    await on_s3.attach()
    assert (await on_s3.bash(3, "sha256sum f* | sha256sum; cat 'one more'")).text == before.text + "x\n"


async def test_a_failing_store_is_visible_and_alarms_and_fails_nothing_else(
    on_s3: Harness, own_seaweed: Seaweed, caplog: pytest.LogCaptureFixture
) -> None:
    await on_s3.attach()
    await on_s3.write(1, "f", "x")
    own_seaweed.kill()
    for failures in (1, 2):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await on_s3.snapshot()
        assert reason_of(raised) == "SNAPSHOT_FAILED"
        assert (await on_s3.state()).failed_snapshots == failures
        assert [getattr(each, "alarm", "") for each in caplog.records].count("snapshot") == failures
    assert (await on_s3.bash(2, "cat f")).text == "x\n"
    own_seaweed.start()
    assert (await on_s3.snapshot()).covers_log_sequence == 2
    assert (await on_s3.state()).failed_snapshots == 0


async def test_no_snapshot_is_published_without_its_contents(
    on_s3: Harness, own_seaweed: Seaweed, way_to_s3: tuple[CutProxy, str]
) -> None:
    way, _ = way_to_s3
    await on_s3.attach()
    before = await on_s3.bash(1, MANY_FILES)
    way.cut_after(request_bytes=MANY_FILES_BYTES // 3)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await on_s3.snapshot()
    assert reason_of(raised) == "SNAPSHOT_FAILED"
    own_seaweed.kill()
    listed = await on_s3.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=on_s3.build_id))
    assert list(listed.snapshots) == []
    own_seaweed.start()
    await way.set(Fault.NONE)
    assert len(await stored(on_s3)) <= 1, "nothing of the pack; the manifest may be there, and counts for nothing"
    assert (await on_s3.snapshot()).file_count == 300
    await on_s3.release(pb.ReleaseSandboxRequest.DESTROY)
    await on_s3.attach()
    assert (await on_s3.bash(2, "sha256sum f* | sha256sum")).text == before.text


async def test_a_store_that_does_not_answer_keeps_no_command_waiting(
    on_s3: Harness, way_to_s3: tuple[CutProxy, str]
) -> None:
    way, _ = way_to_s3
    await on_s3.attach()
    await on_s3.bash(1, MANY_FILES)
    await way.set(Fault.BLACK_HOLE)
    taking = asyncio.ensure_future(on_s3.snapshot())
    await on_s3.until(lambda: announced(on_s3), bool)
    assert (await on_s3.bash(2, "echo on")).text == "on\n"
    assert not taking.done()
    await way.set(Fault.NONE)
    assert (await taking).covers_log_sequence == 1


async def test_a_store_that_is_away_makes_a_restore_wait_not_fall_back(on_s3: Harness, own_seaweed: Seaweed) -> None:
    await on_s3.attach()
    await on_s3.write(1, "f", "x")
    await on_s3.snapshot()
    await on_s3.release(pb.ReleaseSandboxRequest.DESTROY)
    own_seaweed.kill()
    await on_s3.attach()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await on_s3.bash(2, "cat f")
    assert reason_of(raised) == "SANDBOX_UNAVAILABLE"
    own_seaweed.start()
    await on_s3.attach()
    assert (await on_s3.until_attached(lambda: on_s3.bash(2, "cat f"))).text == "x\n"
