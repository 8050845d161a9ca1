"""Many real builds that mostly wait for their model: first all in one worker, then in three that are killed.

Each of them must end exactly once, and its audit must be clean.
"""

import asyncio
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg

from taor_cli.audit.gather import gather
from taor_cli.audit.report import Verdict, audit
from taor_cli.builds import Build
from taor_cli.clients import Clients, connect
from taor_cli.endpoints import Wanted, resolve
from taor_cli.events import Ended
from taor_cli.orchestrator import Orchestrator, Order
from taor_local.installation import ensure_up
from taor_local.options import Options
from tests.chaos.workers import Workers, workers_of
from tests.support.installation import database_dsn, temporary_installation

WORKERS = 3
POLL_SECONDS = 0.2
BUILDS_PER_USER = 10  # what the tier lets run at once
AT_ONCE = 16
RUNNING = "SELECT count(*) AS builds, count(DISTINCT lease_owner) AS workers FROM builds WHERE state = 'RUNNING'"
TURNS_TAKEN = "SELECT coalesce(sum(turns), 0)::int FROM builds"
LEFT = "SELECT count(*) FROM builds WHERE ended_at IS NULL"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many builds there shall be, how long their model thinks, and how many workers shall be killed."""

    builds: int
    kills: int
    turns: int
    think_seconds: float
    timeout_seconds: float
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a crowd."""

    most_in_one_worker: int
    idle_bytes: int
    full_bytes: int
    """Of the worker that had all builds, before and with them."""
    taken_over: int
    seconds: float
    findings: Sequence[str]


async def run_crowd(crowd: Crowd) -> Outcome:
    """Start the builds, let one worker have them all, then kill workers until the builds have ended."""
    began = time.monotonic()
    with temporary_installation() as options, tempfile.TemporaryDirectory(prefix="taor-workers-") as folder:
        await asyncio.to_thread(ensure_up, options, lambda _: None)
        async with (
            asyncio.timeout(crowd.timeout_seconds),
            connect(resolve(Wanted(data=options.data))) as clients,
            _database(options) as pool,
            workers_of(options, Path(folder)) as workers,
        ):
            idle_bytes = workers.resident_bytes()
            builds = await _each(crowd.builds, lambda number: _start(clients, crowd, number))
            most = await _until_all_run(pool, crowd)
            full_bytes = workers.resident_bytes()
            await _kill(pool, crowd, workers)
            while await pool.fetchval(LEFT):  # noqa: ASYNC110 - other processes work on it
                await asyncio.sleep(POLL_SECONDS)
            looks = await _each(len(builds), lambda number: _look(clients, builds[number].build_id))
    findings = [each for _, found in looks for each in found]
    if most < crowd.builds:
        findings.append(f"one worker had {most} of {crowd.builds} builds at the same time")
    taken_over = sum(epoch - 1 for epoch, _ in looks)
    return Outcome(most, idle_bytes, full_bytes, taken_over, time.monotonic() - began, findings)


async def _start(clients: Clients, crowd: Crowd, number: int) -> Build:
    script = f"synthetic turns={crowd.turns} latency_ms={crowd.think_seconds * 1000:.0f}"
    return await Orchestrator(clients.orchestrator).start(
        Order(
            request_id=str(uuid.uuid4()),
            user_id=f"user-{number // BUILDS_PER_USER}",
            project_id=f"project-{number}",
            tier="cto_scale",
            brief=f"Wait.\n\ntaor-script: {script}\n",
            clarifications=(),
            plan="",
        )
    )


async def _until_all_run(pool: asyncpg.Pool, crowd: Crowd) -> int:
    """How many builds one worker had at the same time: all of them, unless the first ended too soon."""
    most = 0
    while most < crowd.builds and await pool.fetchval(LEFT) == crowd.builds:
        [(builds, workers)] = await pool.fetch(RUNNING)
        if workers == 1:
            most = max(most, builds)
        await asyncio.sleep(POLL_SECONDS)
    return most


async def _kill(pool: asyncpg.Pool, crowd: Crowd, workers: Workers) -> None:
    """First whoever has them all, then one of three at even distances of the builds' progress."""
    chance = random.Random(crowd.seed)
    for _ in range(WORKERS - 1):
        await workers.add()
    begun, turns = await pool.fetchval(TURNS_TAKEN), crowd.builds * crowd.turns
    await workers.kill_first()
    for number in range(1, crowd.kills):
        # The last one comes before the last tenth: a kill must have something to lose.
        wanted = begun + (0.9 * turns - begun) * number / crowd.kills
        while await pool.fetchval(TURNS_TAKEN) < wanted:  # noqa: ASYNC110 - other processes take them
            await asyncio.sleep(POLL_SECONDS)
        await workers.kill_any(chance)


async def _look(clients: Clients, build_id: str) -> tuple[int, Sequence[str]]:
    """How often a build was claimed, and what is not as it should be."""
    build = await Orchestrator(clients.orchestrator).get(build_id)
    evidence = await gather(clients, build, None)
    ends = sum(isinstance(event.what, Ended) for event in evidence.events)
    broken = [f"{line.number}: {line.findings}" for line in audit(evidence) if line.verdict is Verdict.BROKEN]
    if build.state.name != "SUCCEEDED" or ends != 1:
        broken.append(f"it is {build.state.name}, and has ended {ends} times")
    return evidence.inspection.epoch, [f"{build_id}: {each}" for each in broken]


async def _each(count: int, act: Callable[[int], Awaitable[T]]) -> list[T]:
    """Do something for every number, some at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(number: int) -> T:
        async with gate:
            return await act(number)

    return await asyncio.gather(*map(gated, range(count)))


@asynccontextmanager
async def _database(options: Options) -> AsyncIterator[asyncpg.Pool]:
    """The orchestrator's own database, to see how far the builds are without asking an orchestrator."""
    async with asyncpg.create_pool(database_dsn(options, "taor_orchestrator"), min_size=1, max_size=2) as pool:
        yield pool
