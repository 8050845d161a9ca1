"""Waking at a midnight: the caps hold, no tenant waits for all builds of another, and nobody is forgotten."""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from taor_chassis.clock import SystemIds
from taor_orchestrator.build import BuildState, Claim
from taor_orchestrator.closing import WAKE_SPREAD_SECONDS
from taor_orchestrator.dispatch.rows import WAKE_BATCH
from taor_orchestrator.store.leases import LeaseStore
from taor_orchestrator.store.projection import BuildRow
from taor_orchestrator.store.resting import RestingStore
from tests.contract.dispatch.conftest import Bench
from tests.support.dispatch_worker import ended

SLOTS = 40
BUILDS = {"large": 1_950, "small": 50}
USERS_PER_TENANT = 30
CAP = 3

REST = """
    INSERT INTO builds (build_id, tenant_id, user_id, project_id, tier, model, max_output_tokens,
                        max_concurrent_builds, priority, state, wake_at, denied_version)
    VALUES ($1, $2, $3, 'project', 'partner', 'model', 1000, $4, 0, 'SLEEPING',
            taor_now() + $5 * interval '1 second', $6)"""
ASSIGN = (
    "INSERT INTO assignments (build_id, tenant_id, brief, clarifications, plan) VALUES ($1, $2, 'Hello.', '[]', '')"
)


async def put_to_rest(
    bench: Bench, tenant_id: str, user_id: str, wake_in_seconds: float, denied_version: int = 1
) -> str:
    """A build that sleeps, as if a tenure had put it to rest."""
    build_id = SystemIds().uuid7()
    await bench.pool.execute(REST, build_id, tenant_id, user_id, CAP, wake_in_seconds, denied_version)
    await bench.pool.execute(ASSIGN, build_id, tenant_id)
    return build_id


@dataclass
class Night:
    """What was seen since midnight, in rounds of waking, claiming and working."""

    running: list[Claim] = field(default_factory=list)
    finished: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    rounds: int = 0

    def check_caps(self) -> None:
        """No more runs than there are slots, and than the plan of each user allows."""
        of_user = Counter((claim.tenant_id, claim.user_id) for claim in self.running)
        assert len(self.running) <= SLOTS
        assert max(of_user.values(), default=0) <= CAP


async def test_two_thousand_builds_wake_at_one_midnight(bench: Bench) -> None:
    chance = random.Random(8)
    leases = LeaseStore(bench.pool, "owner", 3600.0)
    for tenant_id, count in BUILDS.items():
        await asyncio.gather(
            *(
                put_to_rest(
                    bench, tenant_id, f"user-{n % USERS_PER_TENANT}", 3600 + chance.random() * WAKE_SPREAD_SECONDS
                )
                for n in range(count)
            )
        )
    assert await leases.wake_due(WAKE_BATCH) == 0
    await bench.pool.execute(
        "UPDATE taor_clock_offset SET offset_by = interval '1 hour' + $1 * interval '1 second'", WAKE_SPREAD_SECONDS
    )
    night = Night()
    while sum(map(len, night.finished.values())) < sum(BUILDS.values()):
        await one_round(bench, leases, night)
    assert {tenant_id: len(rounds) for tenant_id, rounds in night.finished.items()} == BUILDS
    # The small tenant's share of each batch is as large as the other's, so it is done long before.
    assert max(night.finished["small"]) < night.rounds / 5


async def one_round(bench: Bench, leases: LeaseStore, night: Night) -> None:
    """Wake a batch, claim what there are slots for, and let half of those that run end."""
    night.rounds += 1
    assert night.rounds < 1_000
    assert await leases.wake_due(WAKE_BATCH) <= WAKE_BATCH
    claimed = await leases.claim(SLOTS - len(night.running))
    night.running += [each.claim for each in claimed]
    night.check_caps()
    over = night.running[: max(1, SLOTS // 2)]
    del night.running[: len(over)]
    for claim in over:
        night.finished[claim.tenant_id].append(night.rounds)
    await asyncio.gather(*(finish(bench, claim) for claim in over))


async def finish(bench: Bench, claim: Claim) -> None:
    """The end of a stand-in for work."""
    await BuildRow(bench.pool, lambda _: None).project(claim, ended(claim, BuildState.SUCCEEDED), 0)


async def test_only_who_was_denied_below_the_version_is_woken(bench: Bench) -> None:
    below = await put_to_rest(bench, "local", "ada", 3600, denied_version=4)
    at = await put_to_rest(bench, "local", "ada", 3600, denied_version=5)
    of_another = await put_to_rest(bench, "elsewhere", "ada", 3600, denied_version=4)
    resting = RestingStore(bench.pool)
    assert [page async for page in resting.denied_versions("local")] == [[("ada", 4)]]
    assert await resting.wake_funded("local", {"ada": 5}, 10) == 1
    assert await bench.state(below) == "QUEUED"
    assert [await bench.state(build) for build in (at, of_another)] == ["SLEEPING", "SLEEPING"]
    reason = await bench.pool.fetchval("SELECT payload::json ->> 'reason' FROM events")
    assert reason == "there is money again"


async def test_money_wakes_the_users_in_turn(bench: Bench) -> None:
    many = [await put_to_rest(bench, "local", "ada", 3600) for _ in range(5)]
    one = await put_to_rest(bench, "local", "bob", 7200)
    assert await RestingStore(bench.pool).wake_funded("local", {"ada": 2, "bob": 2}, 2) == 2
    states = Counter([await bench.state(build) for build in many])
    assert states == {"QUEUED": 1, "SLEEPING": 4}
    assert await bench.state(one) == "QUEUED"
