"""What only a bucket can suffer: other keys, wrong keys, broken connections, a server that is killed."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO

import boto3
import pytest

from taor_sandbox.blobs.port import BlobCorrupt, BlobError
from taor_sandbox.blobs.s3 import Bucket, S3Blobs, running_s3
from tests.support.seaweed import BUCKET, Seaweed

CONTENT = bytes(range(256)) * 20_000
HASH = hashlib.sha256(CONTENT).hexdigest()


async def get(blobs: S3Blobs, sha256: str) -> bytes:
    return b"".join([piece async for piece in blobs.get("local", sha256)])


async def test_a_rotten_content_is_found_when_it_is_read(bucket: Bucket) -> None:
    s3 = boto3.client("s3", endpoint_url=bucket.endpoint, region_name="us-east-1")
    await asyncio.to_thread(s3.put_object, Bucket=BUCKET, Key=f"{bucket.prefix}local/{HASH}", Body=CONTENT[:-1] + b"x")
    async with running_s3(bucket) as blobs:
        with pytest.raises(BlobCorrupt):
            await get(blobs, HASH)


async def test_what_others_keep_in_the_bucket_is_not_ours(bucket: Bucket) -> None:
    s3 = boto3.client("s3", endpoint_url=bucket.endpoint, region_name="us-east-1")
    await asyncio.to_thread(s3.put_object, Bucket=BUCKET, Key=f"{bucket.prefix}local/notes.txt", Body=b"x")
    async with running_s3(bucket) as blobs:
        await blobs.put("local", HASH, BytesIO(CONTENT))
        assert [blob.sha256 async for blob in blobs.list("local")] == [HASH]


async def test_a_wrong_secret_is_told_as_an_error_of_the_store(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    async with running_s3(bucket) as blobs:
        with pytest.raises(BlobError, match="SignatureDoesNotMatch"):
            await blobs.put("local", HASH, BytesIO(CONTENT))


async def test_a_bucket_that_is_not_there_is_told(bucket: Bucket) -> None:
    async with running_s3(replace(bucket, name="no-such-bucket")) as blobs:
        with pytest.raises(BlobError):
            await blobs.missing("local", [hashlib.sha256(b"%d" % number).hexdigest() for number in range(100)])


async def test_nobody_there_is_told_in_seconds(s3_credentials: None) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with running_s3(Bucket(BUCKET, f"http://127.0.0.1:{closed.getsockname()[1]}")) as blobs:
            async with asyncio.timeout(20):
                with pytest.raises(BlobError):
                    await blobs.missing("local", [HASH])


async def test_a_broken_connection_is_continued_where_it_broke(bucket: Bucket) -> None:
    async with running_s3(bucket) as direct:
        await direct.put("local", HASH, BytesIO(CONTENT))
    async with cutting(bucket, after_bytes=len(CONTENT) * 2 // 3) as (through, cuts), running_s3(through) as blobs:
        assert await get(blobs, HASH) == CONTENT
    assert cuts == [1]


async def test_a_killed_store_keeps_what_it_has_acknowledged(own_seaweed: Seaweed, s3_credentials: None) -> None:
    bodies = {hashlib.sha256(body).hexdigest(): body for body in (b"%d" % n * 5_000 for n in range(60))}
    acknowledged: list[str] = []
    killed = asyncio.Event()
    async with running_s3(Bucket(BUCKET, own_seaweed.endpoint)) as blobs:

        async def put(sha256: str) -> None:
            await blobs.put("local", sha256, BytesIO(bodies[sha256]))
            acknowledged.append(sha256)
            if len(acknowledged) == 20:
                own_seaweed.kill()
                killed.set()

        async def put_afterwards(sha256: str) -> None:
            await killed.wait()
            await put(sha256)

        hashes = list(bodies)
        puts = [*map(put, hashes[:40]), *map(put_afterwards, hashes[40:])]
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        failures = [each for each in outcomes if each is not None]
        assert failures
        assert all(isinstance(each, BlobError) for each in failures)
        own_seaweed.start()
        for sha256 in acknowledged:
            assert await get(blobs, sha256) == bodies[sha256]
        for sha256 in bodies:
            await blobs.put("local", sha256, BytesIO(bodies[sha256]))
        assert await blobs.missing("local", bodies) == set()


@asynccontextmanager
async def cutting(bucket: Bucket, *, after_bytes: int) -> AsyncIterator[tuple[Bucket, list[int]]]:
    """The same bucket behind a wire that breaks once, after so many bytes of an answer."""
    assert bucket.endpoint is not None
    host, port = bucket.endpoint.removeprefix("http://").split(":")
    cuts = [0]
    told = 0
    serving: set[asyncio.Task[None]] = set()

    async def answers(there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal told
        while piece := await there.read(65_536):
            told += len(piece)
            if told > after_bytes and not cuts[0]:
                cuts[0] = 1
                return
            writer.write(piece)
            await writer.drain()

    async def requests(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            to.write(piece)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection(host, int(port))
        both = [asyncio.ensure_future(requests(reader, to)), asyncio.ensure_future(answers(there, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        for end in (to, writer):
            end.close()
            await end.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(serve(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        yield replace(bucket, endpoint=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), cuts
        await asyncio.wait(serving, timeout=5)
