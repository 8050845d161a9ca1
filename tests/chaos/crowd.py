"""Many builds that mostly wait, in few workers that are killed: each build must end exactly once."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from taor_chassis.clock import SystemIds
from taor_orchestrator.build import Assignment
from taor_orchestrator.store.builds import BuildStore, NewBuild, Request
from tests.chaos.waiting_worker import STEPS

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.1
USERS = 10
# How each build went: every sequence there once, every step once, one end.
LOOK = """
    SELECT b.build_id, b.state, b.projected_sequence AS steps, b.event_sequence AS told, b.epoch, count(e.*) AS events,
           count(*) FILTER (WHERE e.payload::json ->> 'to' = 'SUCCEEDED') AS ends,
           count(*) FILTER (WHERE e.payload::json ->> 'reason' LIKE 'taken over%') AS taken_over
    FROM builds b LEFT JOIN events e USING (build_id) GROUP BY b.build_id"""
PROGRESS = "SELECT coalesce(sum(projected_sequence), 0)::float8 / $1 FROM builds"
# Who holds how many builds; the owner of a lease is the number of its process.
HELD = "SELECT lease_owner FROM builds WHERE state = 'RUNNING' GROUP BY lease_owner ORDER BY count(*) DESC"
LEFT = "SELECT count(*) FROM builds WHERE ended_at IS NULL"


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many builds there shall be, in how many workers, and how many of these shall be killed."""

    builds: int
    workers: int
    kills: int
    timeout_seconds: float

    @property
    def slots(self) -> int:
        """How many builds one worker takes: so few that all workers are needed."""
        return (self.builds - 1) // (self.workers - 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a crowd."""

    crowd: Crowd
    rows: tuple[asyncpg.Record, ...]
    killed: int
    seconds: float

    @property
    def taken_over(self) -> int:
        """How often a worker has taken over a build from one that was killed."""
        return sum(int(row["taken_over"]) for row in self.rows)

    def findings(self) -> Iterator[str]:
        """What is not as it should be."""
        if len(self.rows) != self.crowd.builds or self.killed != self.crowd.kills:
            yield f"{len(self.rows)} builds and {self.killed} kills"
        for row in self.rows:
            once = row["state"] == "SUCCEEDED" and row["ends"] == 1 and row["steps"] == STEPS
            if not once or row["events"] != row["told"]:
                yield f"a build ended {row['ends']} times: {dict(row)}"


async def run_crowd(dsn: str, crowd: Crowd) -> Outcome:
    """Submit the builds and kill workers at even distances of their progress, until all have ended."""
    started = time.monotonic()
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await asyncio.gather(*(_submit(BuildStore(pool), number) for number in range(crowd.builds)))
        async with asyncio.timeout(crowd.timeout_seconds), _running_workers(dsn, crowd) as workers:
            killed = await _kill(pool, crowd, dsn, workers)
            while await pool.fetchval(LEFT):  # noqa: ASYNC110 - other processes work on it
                await asyncio.sleep(POLL_SECONDS)
        return Outcome(crowd, tuple(await pool.fetch(LOOK)), killed, time.monotonic() - started)


async def _kill(pool: asyncpg.Pool, crowd: Crowd, dsn: str, workers: list[asyncio.subprocess.Process]) -> int:
    steps = crowd.builds * STEPS
    for number in range(crowd.kills):
        # All within the first two thirds: a kill must have something to lose.
        while await pool.fetchval(PROGRESS, steps) < (number + 1) / (crowd.kills + 1) * 2 / 3:  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_SECONDS)
        victim = await _holding_most(pool, workers)
        workers.remove(victim)
        victim.kill()
        await victim.wait()
        workers.append(await _start(dsn, crowd.slots))
    return crowd.kills


async def _holding_most(
    pool: asyncpg.Pool, workers: Sequence[asyncio.subprocess.Process]
) -> asyncio.subprocess.Process:
    """Of the workers that live, the one with most to lose."""
    by_owner = {str(worker.pid): worker for worker in workers}
    while True:
        for row in await pool.fetch(HELD):
            if row["lease_owner"] in by_owner:
                return by_owner[row["lease_owner"]]
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def _running_workers(dsn: str, crowd: Crowd) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    workers = [await _start(dsn, crowd.slots) for _ in range(crowd.workers)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            await worker.wait()


async def _start(dsn: str, slots: int) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "tests.chaos.waiting_worker", dsn, str(slots))
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL)


async def _submit(store: BuildStore, number: int) -> None:
    build = NewBuild(
        build_id=SystemIds().uuid7(),
        tenant_id="local",
        user_id=f"user-{number % USERS}",
        project_id="project",
        tier="partner",
        model="model",
        max_output_tokens=1000,
        max_concurrent_builds=1000,
        priority=0,
        assignment=Assignment("Wait.", (), ""),
    )
    await store.start(build, Request("StartBuild", str(number), b"hash"))
