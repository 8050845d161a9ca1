"""The contract of dispatch: one worker per build, the next one soon after a death, caps and priorities that hold."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import asyncpg
import pytest

from taor_orchestrator.build import BuildState, Claim, Ended, Ending, HandedOver, Outcome, Rested
from taor_orchestrator.dispatch.rows import Pace
from taor_orchestrator.ports import DependencyDown, Lease, NothingBegun, Rest
from taor_orchestrator.store.builds import Request
from taor_orchestrator.store.projection import BuildRow
from tests.contract.dispatch.conftest import Bench
from tests.support.dispatch_worker import ended, row_dispatch

StartWorker = Callable[[], subprocess.Popen[bytes]]
PATIENCE_SECONDS = 60.0
NEVER_SECONDS = 3600.0
HINT_SECONDS = 0.1


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Wait for the condition. How soon it holds is for the benchmarks."""
    start = time.monotonic()
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() - start < PATIENCE_SECONDS, f"not within {PATIENCE_SECONDS} s"
        await asyncio.sleep(0.01)


async def run_here(
    bench: Bench, work: Callable[[Claim, Lease], Awaitable[Ending]], done: asyncio.Event, pace: Pace | None = None
) -> None:
    """Run dispatch in this process until `done` is set; what is claimed in that moment is handed over at once."""

    async def until_done(claim: Claim, lease: Lease) -> Ending:
        return HandedOver() if done.is_set() else await work(claim, lease)

    await asyncio.wait_for(row_dispatch(bench.dsn, bench.pool, pace=pace).run(until_done, done), 2 * PATIENCE_SECONDS)


async def hears(bench: Bench) -> bool:
    """Whether the worker listens to the hints already."""
    listening = """
        SELECT count(*) > 0 FROM pg_stat_activity
        WHERE datname = current_database() AND query ILIKE 'LISTEN%' AND state = 'idle'"""
    return bool(await bench.pool.fetchval(listening))


async def test_a_build_starts_at_a_hint(bench: Bench) -> None:
    await bench.submit()
    started: list[str] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        started.append(claim.build_id)
        if len(started) == 1:
            await until(lambda: hears(bench))
            while len(started) == 1:  # should the clock be set back meanwhile, a build is not due yet
                await bench.submit()
                await asyncio.sleep(HINT_SECONDS)
            done.set()
        await lease.handing_over.wait()
        return HandedOver()

    await run_here(bench, work, done, Pace(poll_seconds=NEVER_SECONDS))


async def test_two_workers_never_share_a_build(bench: Bench, start_worker: StartWorker) -> None:
    for _ in range(2):
        start_worker()
    builds = [await bench.submit() for _ in range(30)]
    await until(lambda: len(bench.happened("start")) >= len(builds))
    assert sorted(bench.happened("start")) == sorted((build, 1) for build in builds)


async def test_a_killed_worker_is_replaced(bench: Bench, start_worker: StartWorker) -> None:
    victim = start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)])
    start_worker()
    victim.kill()
    await until(lambda: (build, 2) in bench.happened("start"))


async def test_a_stopped_worker_that_comes_back_gives_up(bench: Bench, start_worker: StartWorker) -> None:
    stalled = start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)])
    stalled.send_signal(signal.SIGSTOP)
    start_worker()
    await until(lambda: (build, 2) in bench.happened("start"))
    stalled.send_signal(signal.SIGCONT)
    await until(lambda: bench.happened("lost") == [(build, 1)])
    assert bench.happened("handed") == []
    assert await bench.state(build) == "RUNNING"


async def test_a_worker_that_is_told_to_stop_hands_over(bench: Bench, start_worker: StartWorker) -> None:
    first = start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)])
    start_worker()
    first.terminate()
    await until(lambda: (build, 2) in bench.happened("start"))
    assert bench.happened("handed") == [(build, 1)]


async def test_a_cancellation_reaches_the_worker(bench: Bench, start_worker: StartWorker) -> None:
    start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)])
    await bench.pool.execute("SELECT cancel_build('local', $1::text::uuid, gen_random_uuid())", build)
    await until(lambda: bench.happened("cancelled") == [(build, 1)])
    assert await bench.state(build) == "CANCELLED"


async def test_a_user_runs_no_more_than_the_plan_allows(bench: Bench) -> None:
    builds = [await bench.submit("one", cap=2) for _ in range(6)] + [await bench.submit("two", cap=1)]
    running: list[Claim] = []
    most: dict[str, int] = {}
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        running.append(claim)
        most[claim.user_id] = max(most.get(claim.user_id, 0), sum(each.user_id == claim.user_id for each in running))
        await bench.pool.fetchval("SELECT pg_sleep(0.05)")  # work that takes a moment
        running.remove(claim)
        await BuildRow(bench.pool, lambda _: None).project(claim, ended(claim, BuildState.SUCCEEDED), 0)
        if all([await bench.state(build) == "SUCCEEDED" for build in builds]):
            done.set()
        return Ended(Outcome(BuildState.SUCCEEDED, "over"))

    await run_here(bench, work, done)
    assert most == {"one": 2, "two": 1}


async def test_priority_goes_first_and_waiting_makes_up_for_it(bench: Bench) -> None:
    patient = await bench.submit("patient", priority=0)
    await bench.pool.execute("UPDATE builds SET due_at = due_at - interval '10 minutes'")
    low, high = await bench.submit("low", priority=1), await bench.submit("high", priority=5)
    order: list[str] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        order.append(claim.build_id)
        if len(order) == 3:
            done.set()
        await lease.handing_over.wait()
        return HandedOver()

    await run_here(bench, work, done)
    assert order == [patient, high, low]


async def test_a_resting_build_wakes_when_its_time_has_come(bench: Bench) -> None:
    build = await bench.submit()
    epochs: list[int] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        epochs.append(claim.epoch)
        if len(epochs) == 2:
            done.set()
            return HandedOver()
        row = BuildRow(bench.pool, lambda _: None)
        wake_time = await row.rest(claim, Rest(BuildState.SLEEPING, 3, 0.3), await row.wake_generation(claim))
        assert wake_time is not None
        return Rested(BuildState.SLEEPING, wake_time)

    await run_here(bench, work, done)
    assert epochs == [1, 2]
    told = await bench.pool.fetch("SELECT payload::json ->> 'to' AS state FROM events ORDER BY sequence")
    assert [row["state"] for row in told][:4] == ["RUNNING", "SLEEPING", "QUEUED", "RUNNING"]
    assert await bench.state(build) == "QUEUED"


async def test_a_wake_between_denial_and_rest_is_not_lost(bench: Bench) -> None:
    await bench.submit()
    rested: list[datetime | None] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        row = BuildRow(bench.pool, lambda _: None)
        generation = await row.wake_generation(claim)
        request = Request("WakeBuild", "wake-1", b"hash")
        await row_dispatch(bench.dsn, bench.pool).wake("local", claim.build_id, "top-up", request)
        rested.append(await row.rest(claim, Rest(BuildState.SLEEPING, 3, 3600.0), generation))
        done.set()
        return HandedOver()

    await run_here(bench, work, done)
    assert rested == [None]


async def test_a_tenure_that_breaks_is_tried_again_later_and_later(bench: Bench) -> None:
    build = await bench.submit()
    claims: list[int] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        claims.append(claim.fruitless_claims)
        if len(claims) == 2:
            done.set()
        raise DependencyDown("the budget is away")

    await run_here(bench, work, done)
    assert claims == [1, 2]
    given_back = "SELECT extract(epoch FROM due_at - (SELECT max(created_at) FROM events))::float8 FROM builds"
    assert 1 < await bench.pool.fetchval(given_back) <= 60
    assert await bench.state(build) == "QUEUED"


async def test_a_build_is_not_given_up_for_a_service_that_is_away_for_long(bench: Bench) -> None:
    await bench.submit()
    claims: list[int] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        claims.append(claim.fruitless_claims)
        if len(claims) == 3:
            done.set()
        raise NothingBegun("the budget is away")

    await run_here(bench, work, done)
    assert claims == [1, 1, 1]


async def test_a_build_cannot_be_in_two_places(bench: Bench) -> None:
    build = await bench.submit()
    for change in ("lease_owner = 'x', lease_until = taor_now()", "due_at = NULL", "state = 'SLEEPING'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await bench.pool.execute(f"UPDATE builds SET {change} WHERE build_id = $1::text::uuid", build)
