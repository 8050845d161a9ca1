"""Contents in a bucket of any S3: `<prefix><tenant>/<hash>`.

The SDK blocks, so it has threads of its own; their number is how much goes on at once. S3 itself compares a content
with the hash that it is announced with, and lets only the first of several writers make an object.
"""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, BinaryIO, ParamSpec, Protocol, TypeAlias, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from taor_sandbox.blobs.names import checked_hash, checked_tenant, is_hash
from taor_sandbox.blobs.port import BlobCorrupt, BlobError, BlobMissing, Blobs, StoredBlob
from taor_sandbox.side_by_side import side_by_side

AT_ONCE = 16
_ATTEMPTS = 3
_CONNECT_SECONDS, _READ_SECONDS = 3, 15
_CHUNK_BYTES = 1 << 20
_PAGE = 1_000
_HEADS_PER_PAGE = 50
"""One page of a listing costs about as much as so many single questions."""
_NOWHERE = "us-east-1"

Response: TypeAlias = Mapping[str, Any]  # the SDK has no types
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Client(Protocol):
    """The calls of the SDK's S3 client that are used, as S3 names them."""

    head_object: Callable[..., Response]
    get_object: Callable[..., Response]
    put_object: Callable[..., Response]
    delete_object: Callable[..., Response]
    list_objects_v2: Callable[..., Response]
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where contents go; credentials and region come from where the SDK always looks for them."""

    name: str
    endpoint: str | None = None
    """Another server than Amazon's; it is spoken to by path, because its bucket need not have a host name."""
    prefix: str = ""


@asynccontextmanager
async def running_s3(bucket: Bucket) -> AsyncIterator["S3Blobs"]:
    """A store in this bucket; at the end nothing new begins, and what is under way is not waited for."""
    threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="s3")
    client = await asyncio.get_running_loop().run_in_executor(threads, _client, bucket.endpoint)
    try:
        yield S3Blobs(client, bucket, threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        client.close()


class S3Blobs(Blobs):
    """Implements `Blobs`; make it with `running_s3`."""

    def __init__(self, client: Client, bucket: Bucket, threads: ThreadPoolExecutor) -> None:
        self._client, self._bucket, self._threads = client, bucket, threads

    async def missing(self, tenant_id: str, hashes: Collection[str]) -> set[str]:
        """Where many are asked for, listing finds most of them; the rest is asked for one by one."""
        folder = self._folder(tenant_id)
        wanted = {folder + checked_hash(sha256) for sha256 in hashes}
        found, listed_to = await self._listed(folder, len(wanted) // _HEADS_PER_PAGE)
        unsure = sorted(key for key in wanted - found if key > listed_to)
        answers = await side_by_side(lambda key: self._call(self._is_there, key), unsure, at_once=AT_ONCE)
        found |= {key for key, is_there in zip(unsure, answers, strict=True) if is_there}
        return {key.removeprefix(folder) for key in wanted - found}

    async def put(self, tenant_id: str, sha256: str, content: BinaryIO) -> None:
        """Hash the content, then send it; whoever comes second finds it there and is content."""
        await self._call(self._put, self._folder(tenant_id) + checked_hash(sha256), sha256, content)

    async def get(self, tenant_id: str, sha256: str) -> AsyncIterator[bytes]:
        """Read, going on behind the last byte when the connection breaks, and hash on the way."""
        key = self._folder(tenant_id) + checked_hash(sha256)
        digest, position = hashlib.sha256(), 0
        for attempt in range(1, _ATTEMPTS + 1):
            body = await self._call(self._open, key, position)
            try:
                while piece := await self._call(body.read, _CHUNK_BYTES):
                    position += len(piece)
                    digest.update(piece)
                    yield piece
                break
            except BlobError:
                if attempt == _ATTEMPTS:
                    raise
            finally:
                body.close()
        if digest.hexdigest() != sha256:
            raise BlobCorrupt(f"{sha256} has another content")

    async def delete(self, tenant_id: str, sha256: str) -> None:
        """Remove the object; S3 does not mind when there is none."""
        key = self._folder(tenant_id) + checked_hash(sha256)
        await self._call(self._client.delete_object, Bucket=self._bucket.name, Key=key)

    async def list(self, tenant_id: str) -> AsyncIterator[StoredBlob]:
        """The objects, with their age by the store's own clock."""
        folder, after = self._folder(tenant_id), ""
        while page := await self._call(self._page, folder, after):
            for key, age_seconds in page.items():
                after = key
                if is_hash(name := key.removeprefix(folder)):
                    yield StoredBlob(name, age_seconds)

    def _folder(self, tenant_id: str) -> str:
        return f"{self._bucket.prefix}{checked_tenant(tenant_id)}/"

    async def _call(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Let a thread do it; the SDK has tried several times before it raises."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))
        except (BotoCoreError, ClientError) as error:
            raise BlobError(f"the store cannot be used: {error}") from error

    async def _listed(self, folder: str, pages: int) -> tuple[set[str], str]:
        """The keys on so many pages, and the last key of which they tell; a listing goes by name."""
        found: set[str] = set()
        after = ""
        for _ in range(pages):
            page = await self._call(self._page, folder, after)
            found.update(page)
            if len(page) < _PAGE:
                return found, folder + "g"  # behind every hash
            after = max(page)
        return found, after

    def _page(self, folder: str, after: str) -> dict[str, float]:
        """The next keys, with the age of their objects in seconds."""
        response = self._client.list_objects_v2(
            Bucket=self._bucket.name, Prefix=folder, StartAfter=after, MaxKeys=_PAGE
        )
        now = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        return {each["Key"]: (now - each["LastModified"]).total_seconds() for each in response.get("Contents", ())}

    def _is_there(self, key: str) -> bool:
        try:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        except ClientError as error:
            if _code(error) == "404":  # the answer to HEAD has no body that could name it better
                return False
            raise
        return True

    def _put(self, key: str, sha256: str, content: BinaryIO) -> None:
        digest, size_bytes = hashlib.sha256(), 0
        for chunk in _chunks(content):
            digest.update(chunk)
            size_bytes += len(chunk)
        if digest.hexdigest() != sha256:
            raise BlobCorrupt(f"a content announced as {sha256} is {digest.hexdigest()}")
        content.seek(0)
        try:
            self._client.put_object(
                Bucket=self._bucket.name, Key=key, Body=content, ContentLength=size_bytes, IfNoneMatch="*",
                ContentType="application/octet-stream", ChecksumSHA256=b64encode(digest.digest()).decode(),
            )  # fmt: skip
        except ClientError as error:
            if _code(error) != "PreconditionFailed":
                raise

    def _open(self, key: str, position: int) -> Any:
        part = {"Range": f"bytes={position}-"} if position else {}
        try:
            return self._client.get_object(Bucket=self._bucket.name, Key=key, **part)["Body"]
        except ClientError as error:
            if _code(error) == "NoSuchKey":
                raise BlobMissing(f"the store has no {key}") from error
            raise


def _client(endpoint: str | None) -> Client:
    session = boto3.session.Session()
    client: Client = session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=session.region_name or _NOWHERE,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=AT_ONCE,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            # What is signed is the hash that the content is announced with: it need not be hashed once more for that.
            s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": False},
        ),
    )
    return client


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    content.seek(0)
    while chunk := content.read(_CHUNK_BYTES):
        yield chunk


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
