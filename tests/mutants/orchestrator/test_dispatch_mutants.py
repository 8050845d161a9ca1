"""Bugs planted into the SQL of dispatch and projection: each one must be caught by the test that it names."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

import asyncpg
import pytest

from taor_orchestrator.build import BuildState
from taor_orchestrator.ports import LeaseLost
from tests.contract.dispatch import test_dispatch as dispatch
from tests.contract.dispatch import test_fences as fences
from tests.contract.dispatch import test_people as people
from tests.contract.dispatch import test_waking as waking
from tests.contract.dispatch.conftest import Bench
from tests.support.postgres import MigratedDatabase

Test = Callable[[Bench], Awaitable[None]]
# What a test fails with: an assertion, a constraint of the database, a fence that it did not expect, a pytest.raises.
CAUGHT = (AssertionError, asyncpg.PostgresError, LeaseLost, pytest.fail.Exception)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one file of SQL, and the test that must fail with it."""

    bug: str
    file: str
    old: str
    new: str
    caught_by: Test
    also: tuple[str, str] = ("", "")
    """A second place, where the first one alone changes nothing because both guard the same."""


does_not_wait = people.test_a_build_does_not_wait_when_something_has_come_up

MUTANTS = [
    Mutant(
        "project ignores the epoch",
        "projection",
        "v_build.epoch <> p_epoch OR ",
        "",
        fences.test_a_replaced_worker_projects_nothing,
    ),
    Mutant(
        "project counts from any cursor",
        "projection",
        "v_build.projected_sequence <> p_from",
        "false",
        fences.test_whoever_counts_from_an_old_cursor_tells_nothing_twice,
    ),
    Mutant(
        "rest ignores the epoch",
        "dispatch",
        "AND epoch = p_epoch AND state = 'RUNNING' AND wake_generation",
        "AND state = 'RUNNING' AND wake_generation",
        fences.test_a_replaced_worker_puts_nothing_to_rest,
    ),
    Mutant(
        "rest ignores the wake generation",
        "dispatch",
        "AND state = 'RUNNING' AND wake_generation = p_wake_generation",
        "AND state = 'RUNNING'",
        dispatch.test_a_wake_between_denial_and_rest_is_not_lost,
    ),
    Mutant(
        "rest ignores a cancellation",
        "dispatch",
        "AND NOT cancel_requested AND NOT pause_requested",
        "AND NOT pause_requested",
        fences.test_a_worker_that_was_woken_or_cancelled_does_not_rest,
    ),
    Mutant(
        "waiting for people ignores the epoch",
        "inbox",
        "AND epoch = p_epoch AND state",
        "AND state",
        fences.test_a_replaced_worker_lets_nothing_wait_for_people,
    ),
    Mutant(
        "an outage of a service counts towards giving a build up",
        "dispatch",
        "CASE WHEN p_in_vain THEN",
        "CASE WHEN true THEN",
        dispatch.test_a_build_is_not_given_up_for_a_service_that_is_away_for_long,
    ),
    Mutant(
        "a build is given back whatever its epoch",
        "dispatch",
        "AND epoch = p_epoch AND state = 'RUNNING';",
        "AND state = 'RUNNING';",
        fences.test_a_replaced_worker_gives_nothing_back,
    ),
    Mutant(
        "a claim leaves the epoch",
        "dispatch",
        "epoch = b.epoch + 1,",
        "epoch = b.epoch,",
        fences.test_a_take_over_raises_the_epoch,
    ),
    Mutant(
        "a claim takes from the living",
        "dispatch",
        "FROM builds b WHERE b.state = 'RUNNING' AND b.lease_until <= v_now\n",
        "FROM builds b WHERE b.state = 'RUNNING'\n",
        fences.test_a_build_whose_worker_is_alive_is_left_to_it,
        also=("OR (b.state = 'RUNNING' AND b.lease_until <= v_now))", "OR b.state = 'RUNNING')"),
    ),
    Mutant(
        "a claim takes nothing from the dead",
        "dispatch",
        "OR (b.state = 'RUNNING' AND b.lease_until <= v_now))",
        ")",
        fences.test_a_take_over_raises_the_epoch,
    ),
    Mutant(
        "a claim ignores the caps",
        "dispatch",
        "WHERE r.place <= r.max_concurrent_builds",
        "",
        dispatch.test_a_user_runs_no_more_than_the_plan_allows,
    ),
    Mutant(
        "waiting makes up for nothing",
        "dispatch",
        "b.due_at - b.priority * interval '1 minute'",
        "b.due_at - b.priority * interval '1 day'",
        dispatch.test_priority_goes_first_and_waiting_makes_up_for_it,
    ),
    Mutant(
        "money wakes who was denied after it",
        "dispatch",
        "AND b.denied_version < risen.version)",
        "AND b.denied_version <= risen.version)",
        waking.test_only_who_was_denied_below_the_version_is_woken,
    ),
    Mutant(
        "an answer on the way to rest is slept through",
        "inbox",
        " AND wake_generation = p_wake_generation\n      AND NOT cancel_requested",
        "\n      AND NOT cancel_requested",
        partial(does_not_wait, state=BuildState.WAITING_ANSWER, meanwhile="answered"),
    ),
    Mutant(
        "a wait ignores a pause",
        "inbox",
        " AND pause_requested = (p_state = 'PAUSED')",
        "",
        partial(does_not_wait, state=BuildState.WAITING_ANSWER, meanwhile="resumed or paused"),
    ),
    Mutant(
        "a wait ignores the epoch",
        "inbox",
        "AND epoch = p_epoch AND state = 'RUNNING'",
        "AND state = 'RUNNING'",
        partial(does_not_wait, state=BuildState.WAITING_ANSWER, meanwhile="taken"),
    ),
    Mutant(
        "an answer wakes nobody",
        "inbox",
        "PERFORM wake_build(p_build_id, 'answered')",
        "NULL",
        partial(does_not_wait, state=BuildState.WAITING_ANSWER, meanwhile="answered"),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_the_named_test_catches(mutant: Mutant, migrated_database: MigratedDatabase, tmp_path: Path) -> None:
    sql = (files("taor_orchestrator") / "sql" / f"{mutant.file}.sql").read_text("utf-8")
    for old, new in filter(any, ((mutant.old, mutant.new), mutant.also)):
        assert sql.count(old) == 1, "the place of the bug has changed: plant it anew"
        sql = sql.replace(old, new)
    dsn = migrated_database("taor_orchestrator")
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await pool.execute(sql)
        with pytest.raises(CAUGHT):
            await mutant.caught_by(Bench(dsn, pool, tmp_path, itertools.count()))
