"""What a test of dispatch needs: a database, builds in it, and worker processes that can be killed and stopped."""

import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from taor_chassis.clock import SystemIds
from taor_orchestrator.build import Assignment
from taor_orchestrator.store.builds import BuildStore, NewBuild, Request
from tests.support.postgres import MigratedDatabase

ROOT = Path(__file__).parents[3]


@dataclass
class Bench:
    """A database with builds, and the journals of the workers on it."""

    dsn: str
    pool: asyncpg.Pool
    folder: Path
    numbers: Iterator[int]

    async def submit(self, user_id: str = "user", *, priority: int = 0, cap: int = 100) -> str:
        """Queue a build and return its id."""
        build = NewBuild(
            build_id=SystemIds().uuid7(),
            tenant_id="local",
            user_id=user_id,
            project_id="project",
            tier="partner",
            model="model",
            max_output_tokens=1000,
            max_concurrent_builds=cap,
            priority=priority,
            assignment=Assignment("Say hello.", (), ""),
        )
        return await BuildStore(self.pool).start(build, Request("StartBuild", str(next(self.numbers)), b"hash"))

    async def state(self, build_id: str) -> str:
        """The state that stands in the row."""
        return str(await self.pool.fetchval("SELECT state FROM builds WHERE build_id = $1::text::uuid", build_id))

    def happened(self, what: str) -> list[tuple[str, int]]:
        """The (build, epoch) pairs of one kind of happening, over all workers."""
        lines = (line.split() for file in self.folder.iterdir() for line in file.read_text().splitlines())
        return [(build_id, int(epoch)) for verb, build_id, epoch in lines if verb == what]


@pytest.fixture
async def bench(migrated_database: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Bench]:
    """An empty database of the orchestrator."""
    dsn = migrated_database("taor_orchestrator")
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        yield Bench(dsn, pool, tmp_path, itertools.count())


@pytest.fixture
def start_worker(bench: Bench) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts worker processes; whatever is left of them ends with the test."""
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.support.dispatch_worker", bench.dsn, str(bench.folder)]
        workers.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()
