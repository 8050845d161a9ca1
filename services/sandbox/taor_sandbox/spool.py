"""Brings changed contents out of a sandbox: a tar into a file of ours during the walk, from there into the store."""

import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, BinaryIO, TypeAlias, cast

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobCorrupt, Blobs

Spool: TypeAlias = IO[bytes]

_PATHS_BYTES = 32 * 1024


async def copy_out(sandbox: Sandbox, paths: Sequence[str], spool: Spool) -> None:
    """Append these files to the spool, as tar archives one behind the other."""
    for batch in _batches(paths):
        async for chunk in sandbox.archive(batch):
            spool.write(chunk)


async def upload(blobs: Blobs, tenant_id: str, hashes: Mapping[str, str], spool: Spool) -> None:
    """Store every file of the spool under the hash that stands for its path.

    A file that is not what the walk saw is left out: whoever publishes looks for what is lacking.
    """
    if not spool.tell():
        return
    spool.seek(0)
    with tarfile.open(fileobj=spool, mode="r:", ignore_zeros=True, errorlevel=1) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or member.name not in hashes:
                continue
            try:
                await blobs.put(tenant_id, hashes[member.name], cast("BinaryIO", content))
            except BlobCorrupt:
                continue


def _batches(paths: Iterable[str]) -> Iterable[list[str]]:
    """Paths in portions that fit onto a command line."""
    batch: list[str] = []
    size = 0
    for path in paths:
        size += len(path) + 1
        if batch and size > _PATHS_BYTES:
            yield batch
            batch, size = [], len(path) + 1
        batch.append(path)
    if batch:
        yield batch
