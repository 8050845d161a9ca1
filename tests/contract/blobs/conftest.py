"""One contract, every store: a folder, and a bucket of a real S3 server."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taor_chassis.clock import SystemClock
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import Blobs
from taor_sandbox.blobs.s3 import Bucket, running_s3
from tests.support.seaweed import BUCKET, Seaweed

_numbers = itertools.count(1)


@pytest.fixture
def bucket(seaweed: Seaweed, s3_credentials: None) -> Bucket:
    """An empty corner of the run's bucket."""
    return Bucket(BUCKET, seaweed.endpoint, f"contract-{next(_numbers)}/")


@pytest.fixture(params=["directory", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    """An empty store."""
    if request.param == "directory":
        yield DirectoryBlobs(tmp_path / "blobs", SystemClock())
        return
    async with running_s3(request.getfixturevalue("bucket")) as store:
        yield store
