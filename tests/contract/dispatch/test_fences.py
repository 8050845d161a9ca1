"""Who has lost a build changes nothing of it any more, and nobody takes it from a worker that is alive."""

import asyncio

import pytest

from taor_orchestrator.build import BuildState, Claim
from taor_orchestrator.ports import LeaseLost, Rest
from taor_orchestrator.store.leases import LeaseStore
from taor_orchestrator.store.projection import BuildRow
from tests.contract.dispatch.conftest import Bench
from tests.service.orchestrator.test_projection import full_log, prefix
from tests.support.dispatch_worker import ended

LEASE_SECONDS = 600.0
REST = Rest(BuildState.SLEEPING, 3, 3600.0)
VANISH = "UPDATE builds SET lease_until = taor_now() - interval '1 second'"


def leases(bench: Bench, owner: str = "owner") -> LeaseStore:
    """The leases as one worker sees them."""
    return LeaseStore(bench.pool, owner, LEASE_SECONDS)


async def claimed(bench: Bench) -> Claim:
    """A build in the hands of a worker."""
    await bench.submit()
    [one] = await leases(bench).claim(10)
    return one.claim


async def replaced(bench: Bench) -> tuple[Claim, Claim]:
    """A build whose worker was not heard of, and that was taken over: the old claim and the new."""
    old = await claimed(bench)
    await bench.pool.execute(VANISH)
    claims = await leases(bench, "another").claim(10)
    assert len(claims) == 1
    return old, claims[0].claim


def row(bench: Bench) -> BuildRow:
    """A build's row as one tenure reaches it."""
    return BuildRow(bench.pool, lambda _: None)


async def test_a_take_over_raises_the_epoch(bench: Bench) -> None:
    old, new = await replaced(bench)
    assert (new.build_id, new.epoch) == (old.build_id, old.epoch + 1)


async def test_a_build_whose_worker_is_alive_is_left_to_it(bench: Bench) -> None:
    await claimed(bench)
    assert list(await leases(bench, "another").claim(10)) == []


async def test_of_many_who_claim_at_once_one_gets_the_build(bench: Bench) -> None:
    await bench.submit()
    claims = await asyncio.gather(*(leases(bench, str(number)).claim(10) for number in range(4)))
    assert sum(map(len, claims)) == 1


async def test_a_replaced_worker_projects_nothing(bench: Bench) -> None:
    old, _ = await replaced(bench)
    with pytest.raises(LeaseLost):
        await row(bench).project(old, ended(old, BuildState.FAILED), 0)
    assert await bench.state(old.build_id) == "RUNNING"


async def test_a_replaced_worker_puts_nothing_to_rest(bench: Bench) -> None:
    old, _ = await replaced(bench)
    generation = await row(bench).wake_generation(old)
    assert await row(bench).rest(old, REST, generation) is None
    assert await bench.state(old.build_id) == "RUNNING"


async def test_a_replaced_worker_lets_nothing_wait_for_people(bench: Bench) -> None:
    old, _ = await replaced(bench)
    generation = await row(bench).wake_generation(old)
    assert not await row(bench).wait(old, BuildState.WAITING_ANSWER, generation)
    assert await bench.state(old.build_id) == "RUNNING"


async def test_a_replaced_worker_gives_nothing_back(bench: Bench) -> None:
    old, _ = await replaced(bench)
    await leases(bench).requeue(old, 0.0, "it does not know better")
    assert await bench.state(old.build_id) == "RUNNING"


async def test_a_heartbeat_keeps_what_is_ours_and_nothing_else(bench: Bench) -> None:
    old, new = await replaced(bench)
    assert set(await leases(bench).beat([(old.build_id, old.epoch)])) == set()
    assert set(await leases(bench, "another").beat([(new.build_id, new.epoch)])) == {new.build_id}


async def test_a_worker_that_was_woken_or_cancelled_does_not_rest(bench: Bench) -> None:
    claim = await claimed(bench)
    generation = await row(bench).wake_generation(claim)
    await bench.pool.execute("SELECT wake_build(build_id, 'more money') FROM builds")
    assert await row(bench).rest(claim, REST, generation) is None
    await bench.pool.execute("SELECT cancel_build('local', build_id, gen_random_uuid()) FROM builds")
    assert await row(bench).rest(claim, REST, await row(bench).wake_generation(claim)) is None
    assert await bench.state(claim.build_id) == "RUNNING"


async def test_whoever_counts_from_an_old_cursor_tells_nothing_twice(bench: Bench) -> None:
    claim = await claimed(bench)
    first, second = row(bench), row(bench)
    await second.project(claim, prefix(full_log(claim), 1), 0)  # from now on it counts from here
    await first.project(claim, prefix(full_log(claim), 4), 0)
    await second.project(claim, full_log(claim), 0)
    told = await bench.pool.fetch("SELECT sequence, log_sequence, position FROM events ORDER BY sequence")
    assert [each["sequence"] for each in told] == list(range(1, len(told) + 1))
    counted = await bench.pool.fetch("SELECT turns, tool_calls FROM builds")
    assert [tuple(each) for each in counted] == [(1, 3)]
