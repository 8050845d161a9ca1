"""The contract of dispatch with people: their words reach a worker soon, a pause holds, a wait has one place."""

import asyncio
import uuid

import asyncpg
import pytest

from taor_orchestrator.build import BuildState, Claim, Ending, HandedOver, Waiting
from taor_orchestrator.dispatch.rows import Pace
from taor_orchestrator.ports import Lease
from taor_orchestrator.store.projection import BuildRow
from tests.contract.dispatch.conftest import Bench
from tests.contract.dispatch.test_dispatch import NEVER_SECONDS, hears, run_here, until

SEND = "SELECT send_to_build('local', $1::text::uuid, $2::text::uuid, $3, 'Hurry.', 64)"
PAUSE = "SELECT pause_build('local', $1::text::uuid)"
RESUME = "SELECT resume_build('local', $1::text::uuid)"
ASK = "UPDATE builds SET question_sequence = 4 WHERE build_id = $1::text::uuid"
CANCEL = "SELECT cancel_build('local', $1::text::uuid, gen_random_uuid())"


@pytest.mark.parametrize(
    ("statement", "event"),
    [(PAUSE, "pause_requested"), (SEND, "inbox_waiting"), (CANCEL, "cancel_requested")],
)
async def test_a_hint_tells_a_running_worker(bench: Bench, statement: str, event: str) -> None:
    build = await bench.submit()
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        await until(lambda: hears(bench))  # what is hinted at earlier is for the heartbeat to tell
        arguments = (build, str(uuid.uuid4()), "STEER") if statement is SEND else (build,)
        await bench.pool.execute(statement, *arguments)
        await until(getattr(lease, event).is_set)
        done.set()
        return HandedOver()

    await run_here(bench, work, done, Pace(beat_seconds=NEVER_SECONDS))


async def test_a_heartbeat_tells_what_the_hints_have_lost(bench: Bench) -> None:
    build = await bench.submit()
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        await bench.pool.execute("UPDATE builds SET pause_requested = true")  # without a hint
        await until(lease.pause_requested.is_set)
        await bench.pool.execute("UPDATE builds SET pause_requested = false")
        await until(lambda: not lease.pause_requested.is_set())
        insert = (
            "INSERT INTO inbox (inbox_id, build_id, tenant_id, kind) VALUES (gen_random_uuid(), $1::text::uuid, $2, $3)"
        )
        await bench.pool.execute(insert, build, "local", "STEER")
        await until(lease.inbox_waiting.is_set)
        done.set()
        return HandedOver()

    await run_here(bench, work, done)


async def test_a_paused_build_goes_to_no_worker_until_it_is_resumed(bench: Bench) -> None:
    build, other = await bench.submit(), await bench.submit()
    await bench.pool.execute(PAUSE, build)
    worked_on: list[str] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        worked_on.append(claim.build_id)
        if claim.build_id == other:
            assert await bench.state(build) == "PAUSED"
            await bench.pool.execute(RESUME, build)
        else:
            done.set()
        await lease.handing_over.wait()
        return HandedOver()

    await run_here(bench, work, done)
    assert worked_on == [other, build]


async def test_an_answer_brings_a_waiting_build_back(bench: Bench) -> None:
    build = await bench.submit()
    await bench.pool.execute(ASK, build)
    epochs: list[int] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        epochs.append(claim.epoch)
        row = BuildRow(bench.pool, lambda _: None)
        if len(epochs) == 2:
            assert lease.inbox_waiting.is_set()
            assert len(await row.unread(claim)) == 1
            done.set()
            return HandedOver()
        assert await row.wait(claim, BuildState.WAITING_ANSWER, await row.wake_generation(claim))
        assert await bench.pool.fetchval(SEND, build, str(uuid.uuid4()), "ANSWER") == "SENT"
        return Waiting(BuildState.WAITING_ANSWER)

    await run_here(bench, work, done)
    assert epochs == [1, 2]


@pytest.mark.parametrize("state", [BuildState.WAITING_ANSWER, BuildState.PAUSED])
@pytest.mark.parametrize("meanwhile", ["answered", "cancelled", "taken", "resumed or paused"])
async def test_a_build_does_not_wait_when_something_has_come_up(
    bench: Bench, state: BuildState, meanwhile: str
) -> None:
    build = await bench.submit()
    await bench.pool.execute(ASK, build)
    waited: list[bool] = []
    done = asyncio.Event()

    async def work(claim: Claim, lease: Lease) -> Ending:
        row = BuildRow(bench.pool, lambda _: None)
        if state is BuildState.PAUSED:
            await bench.pool.execute(PAUSE, build)
        generation = await row.wake_generation(claim)
        match meanwhile:
            case "answered":
                await bench.pool.execute(SEND, build, str(uuid.uuid4()), "ANSWER")
            case "cancelled":
                await bench.pool.execute(CANCEL, build)
            case "taken":
                await bench.pool.execute("UPDATE builds SET epoch = epoch + 1")
            case _:
                await bench.pool.execute(RESUME if state is BuildState.PAUSED else PAUSE, build)
        waited.append(await row.wait(claim, state, generation))
        done.set()
        return HandedOver()

    await run_here(bench, work, done)
    assert waited == [False]


async def test_a_waiting_build_cannot_be_in_two_places_or_wait_for_nothing(bench: Bench) -> None:
    build = await bench.submit()
    for change in (
        "state = 'PAUSED', due_at = NULL",  # nobody has asked for a pause
        "state = 'WAITING_ANSWER', due_at = NULL",  # there is no question
        "state = 'PAUSED', pause_requested = true",  # still queued
        "state = 'PAUSED', pause_requested = true, due_at = NULL, wake_at = taor_now()",
        "state = 'WAITING_ANSWER', question_sequence = 4, due_at = NULL, lease_owner = 'x', lease_until = taor_now()",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await bench.pool.execute(f"UPDATE builds SET {change} WHERE build_id = $1::text::uuid", build)
