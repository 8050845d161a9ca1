"""Bugs planted into the SQL of top-ups and changes of plan: each is found by a named test or by random histories."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings

from taor_chassis.errors import ServiceError
from tests.service.budget import test_limits as limits
from tests.service.budget.books import Books, open_books
from tests.service.budget.test_adjustment_properties import run_adjusting_histories
from tests.support.postgres import MigratedDatabase

Test = Callable[[Books], Awaitable[None]]
ADJUSTMENTS = (files("taor_budget") / "sql" / "adjustments.sql").read_text("utf-8")
# What a test fails with: an assertion, a constraint of the database, a refusal.
CAUGHT = (AssertionError, asyncpg.PostgresError, ServiceError, ExceptionGroup)
HISTORIES = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the SQL that makes it wrong, and the test that must fail with it; by default random histories."""

    bug: str
    old: str
    new: str
    caught_by: Test | None = None

    @property
    def sql(self) -> str:
        """The functions with the bug."""
        assert ADJUSTMENTS.count(self.old) == 1, f"{self.bug}: the SQL does not hold this text once"
        return ADJUSTMENTS.replace(self.old, self.new)


MUTANTS = [
    Mutant(
        "top-up without today",
        "RETURN (v_cycle, least(d.allowance + p_microdollars, v_hard), v_hard)",
        "RETURN (v_cycle, d.allowance, v_hard)",
        limits.test_a_top_up_after_it_ends_with_the_cycle,
    ),
    Mutant(
        "top-up beyond the cycle",
        "* 110 / 100, v_reach));\nBEGIN",
        "* 110 / 100, 10 * v_reach + 10000));\nBEGIN",
        limits.test_a_top_up_after_it_ends_with_the_cycle,
    ),
    Mutant(
        "top-ups lost with a plan",
        "w.cycle_microdollars + ledger_topped_up(p_tenant, p_user, c.period, '')",
        "w.cycle_microdollars",
        limits.test_what_was_topped_up_yesterday_is_shared_by_the_days_left,
    ),
    Mutant(
        "top-ups of all days are today's",
        "ledger_topped_up(p_tenant, p_user, c.period, d.period)",
        "ledger_topped_up(p_tenant, p_user, c.period, '')",
        limits.test_what_was_topped_up_yesterday_is_shared_by_the_days_left,
    ),
    Mutant(
        "plan below what is used",
        "greatest(p_planned, c.spent + c.reserved)",
        "p_planned",
        limits.test_a_downgrade_leaves_what_is_set_aside,
    ),
    Mutant(
        "day below what is used",
        "least(d.allowance, greatest(v_share, v_used))",
        "least(d.allowance, v_share)",
        limits.test_a_downgrade_leaves_what_is_set_aside,
    ),
    Mutant(
        "plans gained by going back and forth",
        "THEN p_planned\n",
        'THEN c."limit" + p_planned / 2\n',
    ),
    Mutant(
        "the next cycle is on the old plan",
        "cycle_microdollars = w.cycle_microdollars, ",
        "",
        limits.test_the_next_cycle_is_on_the_new_plan_without_the_top_up,
    ),
    Mutant("a request counts twice", "IF NOT FOUND THEN", "IF true THEN"),
    Mutant("day not checked under the lock", "OR at >= today.day_ends_at", ""),
    Mutant("growth not told", "(greatest(a.cycle_delta, a.allowance_delta, a.limit_delta) > 0)::integer", "0"),
    Mutant("loss told as growth", "(greatest(a.cycle_delta, a.allowance_delta, a.limit_delta) > 0)::integer", "1"),
    Mutant(
        "hard stop never lowered",
        'least(d."limit", greatest(least(v_allowance',
        'greatest(d."limit", greatest(least(v_allowance',
    ),
    Mutant(
        "journal without the allowance",
        "a.day_period, a.allowance_delta, a.limit_delta, a.at",
        "a.day_period, 0, a.limit_delta, a.at",
    ),
]


@pytest.mark.parametrize("mutant", [it for it in MUTANTS if it.caught_by], ids=lambda it: it.bug.replace(" ", "-"))
async def test_a_planted_bug_is_caught(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    assert mutant.caught_by is not None
    async with open_books(migrated_database("taor_budget")) as books:
        await books.pool.execute(mutant.sql)
        with pytest.raises(CAUGHT):
            await mutant.caught_by(books)


@pytest.mark.parametrize("mutant", [it for it in MUTANTS if not it.caught_by], ids=lambda it: it.bug.replace(" ", "-"))
def test_random_histories_find_a_planted_bug(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    with pytest.raises(CAUGHT):
        run_adjusting_histories(migrated_database("taor_budget"), HISTORIES, mutant.sql)
