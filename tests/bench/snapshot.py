"""`snapshot`: what it costs to save a build's files, all of them or one that has changed, in each store of contents."""

import asyncio
import itertools
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from taor_chassis.migrations import migrate
from taor_sandbox.app import running_backend
from taor_sandbox.backends.local.folder import Shelf
from taor_sandbox.config import SandboxConfig
from tests.bench.figures import Figure, Reference, at_most
from tests.bench.home import DISK, Home
from tests.bench.progress import tell
from tests.service.sandbox.harness import Harness
from tests.support.seaweed import BUCKET, Seaweed, give_credentials

ROUNDS = 5
MOST_TIMES_TAR, MOST_OF_FIRST = 2.0, 0.1
Put = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tree:
    """So many files of one size, of noise."""

    files: int
    kibibytes: int

    @property
    def command(self) -> str:
        """Makes all of it anew, by the same names."""
        return f"rm -rf *; for i in $(seq {self.files}); do head -c {self.kibibytes}K /dev/urandom > f$i; done"

    @property
    def touch(self) -> str:
        """Makes one file anew."""
        return f"head -c {self.kibibytes}K /dev/urandom > f1"

    def __str__(self) -> str:
        return f"{self.files} × {self.kibibytes} KiB"


SMALL_FILES, LARGE_FILES = Tree(1000, 20), Tree(20, 1024)
QUICK = Tree(50, 20)


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of one round."""

    plain: float
    first: float
    second: float


async def measure(home: Home) -> list[Figure]:
    """The folder first, then a bucket."""
    trees, rounds = ([QUICK], 1) if home.quick else ([SMALL_FILES, LARGE_FILES], ROUNDS)
    figures: list[Figure] = []
    with _folder() as folder, _seaweed(folder) as seaweed:
        config = SandboxConfig(
            listen="127.0.0.1:0", dsn="", token="bench", data=folder / "sandboxes", blobs=folder / "blobs"
        )
        on_s3 = replace(config, data=folder / "more", s3_bucket=BUCKET, s3_endpoint=seaweed.endpoint, s3_prefix="b/")
        stores: list[tuple[str, SandboxConfig, Put]] = [
            ("a folder", config, _into(folder / "plain")),
            ("a bucket", on_s3, _into_bucket(seaweed)),
        ]
        for name, settings, put in stores:
            dsn = await home.fresh_database("bench_snapshot")
            await migrate(dsn, "taor_sandbox")
            async with _running(replace(settings, dsn=dsn)) as build:
                sequences = itertools.count(1)
                for tree in trees:
                    tell(f"snapshot: {tree} into {name}, {rounds} times")
                    taken = [await _round(build, sequences, tree, put) for _ in range(rounds)]
                    figures += _figures(f"{tree} into {name}", taken)
    return figures


async def _round(build: Harness, sequences: "itertools.count[int]", tree: Tree, put: Put) -> Taken:
    """A tree that no store has seen, the same as a plain tar, then one file of it anew."""
    await build.bash(next(sequences), tree.command)
    first = await _milliseconds(build.snapshot)
    plain = await _milliseconds(lambda: _plain(build, put))
    await build.bash(next(sequences), tree.touch)
    return Taken(plain, first, await _milliseconds(build.snapshot))


async def _plain(build: Harness, put: Put) -> None:
    """What is compared with: the tree as one tar, stored as it is."""
    folder = Shelf(build.config.data.resolve()).folder(f"{build.build_id}/{build.generation}").workspace
    command = ("tar", "--create", "--file=-", f"--directory={folder}", ".")
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    tar, _ = await process.communicate()
    await put(tar)


async def _milliseconds(step: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await step()
    return (time.perf_counter() - began) * 1000


def _figures(what: str, taken: list[Taken]) -> list[Figure]:
    plain, first, second = (
        statistics.median(getattr(each, name) for each in taken) for name in ("plain", "first", "second")
    )
    beside, target = Reference("tar and put", plain), at_most(MOST_TIMES_TAR)
    return [
        Figure("snapshot", what, first, "ms", beside, target),
        Figure("snapshot", "  one of them anew", second, "ms", Reference("first", first), at_most(MOST_OF_FIRST)),
    ]


@asynccontextmanager
async def _running(config: SandboxConfig) -> AsyncIterator[Harness]:
    """The service with one build."""
    async with running_backend(config) as backend:
        build = Harness(config, backend)
        await build.start()
        await build.attach()
        yield build
        await build.stop()
        await build.destroy_sandboxes()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="taor-bench-", dir=DISK))
    folder.chmod(0o711)  # as root, sandboxes run under users of their own
    yield folder
    shutil.rmtree(folder)


@contextmanager
def _seaweed(folder: Path) -> Iterator[Seaweed]:
    seaweed = Seaweed(folder / "seaweed")
    with pytest.MonkeyPatch.context() as environment:
        give_credentials(environment)
        seaweed.start()
        yield seaweed
        seaweed.stop()


def _into(folder: Path) -> Put:
    """Store as the folder store does: flushed to the disk."""
    folder.mkdir()

    def write(content: bytes) -> None:
        with (folder / str(uuid4())).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    return lambda content: asyncio.to_thread(write, content)


def _into_bucket(seaweed: Seaweed) -> Put:
    s3 = boto3.client("s3", endpoint_url=seaweed.endpoint, region_name="us-east-1")

    def put(content: bytes) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"plain/{uuid4()}", Body=content)

    return lambda content: asyncio.to_thread(put, content)
