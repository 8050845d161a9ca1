"""The contract of dispatch: one worker per build, the next one soon after a death, caps and priorities that hold."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import asyncpg

from taor_orchestrator.build import BuildState, Claim, Ended, Ending, HandedOver, Outcome, Rested
from taor_orchestrator.ports import DependencyDown, Lease, Rest
from taor_orchestrator.store.builds import Request
from taor_orchestrator.store.projection import BuildRow
from tests.contract.dispatch.conftest import Bench
from tests.support.dispatch_worker import ended, row_dispatch

StartWorker = Callable[[], subprocess.Popen[bytes]]
SOON_SECONDS = 2.0
PICK_UP_SECONDS = 12.0


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], timeout_seconds: float) -> float:
    """Wait for the condition; the seconds it took."""
    start = time.monotonic()
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return time.monotonic() - start
        assert time.monotonic() - start < timeout_seconds, f"not within {timeout_seconds} s"
        await asyncio.sleep(0.01)


async def run_here(bench: Bench, work: Callable[[Claim, Lease], Awaitable[Ending]], done: asyncio.Event) -> None:
    """Run dispatch in this process until `done` is set; what is claimed in that moment is handed over at once."""

    async def until_done(claim: Claim, lease: Lease) -> Ending:
        return HandedOver() if done.is_set() else await work(claim, lease)

    await asyncio.wait_for(row_dispatch(bench.dsn, bench.pool).run(until_done, done), 60)


async def test_a_build_starts_within_a_second(bench: Bench, start_worker: StartWorker) -> None:
    start_worker()
    first = await bench.submit()
    await until(lambda: bench.happened("start") == [(first, 1)], 10)  # the worker is up
    second = await bench.submit()
    took = await until(lambda: (second, 1) in bench.happened("start"), 5)
    assert took < 1.0


async def test_two_workers_never_share_a_build(bench: Bench, start_worker: StartWorker) -> None:
    for _ in range(2):
        start_worker()
    builds = [await bench.submit() for _ in range(30)]
    await until(lambda: len(bench.happened("start")) >= len(builds), 15)
    assert sorted(bench.happened("start")) == sorted((build, 1) for build in builds)


async def test_a_killed_worker_is_replaced(bench: Bench, start_worker: StartWorker) -> None:
    victim = start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)], 10)
    start_worker()
    victim.kill()
    took = await until(lambda: (build, 2) in bench.happened("start"), PICK_UP_SECONDS + 5)
    assert took <= PICK_UP_SECONDS


async def test_a_stopped_worker_that_comes_back_gives_up(bench: Bench, start_worker: StartWorker) -> None:
    stalled = start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)], 10)
    stalled.send_signal(signal.SIGSTOP)
    start_worker()
    await until(lambda: (build, 2) in bench.happened("start"), PICK_UP_SECONDS + 5)
    stalled.send_signal(signal.SIGCONT)
    await until(lambda: bench.happened("lost") == [(build, 1)], 5)
    assert bench.happened("handed") == []
    assert await bench.state(build) == "RUNNING"


async def test_a_worker_that_is_told_to_stop_hands_over(bench: Bench, start_worker: StartWorker) -> None:
    first = start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)], 10)
    start_worker()
    first.terminate()
    took = await until(lambda: (build, 2) in bench.happened("start"), 10)
    assert bench.happened("handed") == [(build, 1)]
    assert took < SOON_SECONDS


async def test_a_cancellation_reaches_the_worker(bench: Bench, start_worker: StartWorker) -> None:
    start_worker()
    build = await bench.submit()
    await until(lambda: bench.happened("start") == [(build, 1)], 10)
    await bench.pool.execute("SELECT cancel_build('local', $1::text::uuid, gen_random_uuid())", build)
    took = await until(lambda: bench.happened("cancelled") == [(build, 1)], 10)
    assert took < SOON_SECONDS
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
    delay = await bench.pool.fetchval("SELECT extract(epoch FROM due_at - taor_now())::float8 FROM builds")
    assert 1 < delay <= 60
    assert await bench.state(build) == "QUEUED"


async def test_a_build_cannot_be_in_two_places(bench: Bench) -> None:
    build = await bench.submit()
    for change in ("lease_owner = 'x', lease_until = taor_now()", "due_at = NULL", "state = 'SLEEPING'"):
        try:
            await bench.pool.execute(f"UPDATE builds SET {change} WHERE build_id = $1::text::uuid", build)
        except asyncpg.CheckViolationError:
            continue
        raise AssertionError(f"{change} was accepted")
