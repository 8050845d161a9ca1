"""Bugs planted into the commits that calls share: each one must be caught by the test that it names."""

import asyncio

import asyncpg
import pytest

from taor_budget.store import turns
from taor_chassis.errors import ServiceError
from tests.mutants.budget.test_mutants import Test, fails
from tests.mutants.planting import Mutant
from tests.service.budget import test_shared_commits as shared
from tests.service.budget.books import open_books
from tests.support.postgres import MigratedDatabase

SECONDS = 5  # a test that hangs with the bug has caught it


MUTANTS: list[Mutant[Test]] = [
    Mutant(
        "one failure fails all that share the commit",
        turns._is_undone,
        "isinstance(error, asyncpg.PostgresError) and refusal(error) is None",
        "False",
        shared.test_a_failure_is_for_its_caller_alone,
    ),
    Mutant(
        "an unknown outcome is tried again",
        turns._is_undone,
        "isinstance(error, asyncpg.PostgresError) and refusal(error) is None",
        "True",
        shared.test_an_unknown_outcome_is_told_to_all_and_tried_by_nobody,
    ),
    Mutant(
        "who has gone breaks the answers of the others",
        turns.Waiting.give,
        "if not self.answer.done():",
        "if True:",
        shared.test_who_goes_while_under_way_takes_nobody_along,
    ),
    Mutant(
        "who has gone is done all the same",
        turns.SharedCommits._take,
        "if each.answer.done():",
        "if False:",
        shared.test_who_goes_while_waiting_holds_nothing,
    ),
    Mutant(
        "an account is worked on twice",
        turns.SharedCommits._take,
        " and each.call.account not in self._accounts",
        "",
        shared.test_what_waits_for_an_account_shares_the_next_commit,
    ),
    Mutant(
        "a busy account keeps the others waiting",
        turns.SharedCommits._take,
        "each.call.account not in self._accounts",
        "not self._accounts",
        shared.test_a_call_of_another_account_waits_for_nobody,
    ),
    Mutant(
        "a commit takes all that wait",
        turns.SharedCommits._take,
        "len(batch) < MOST_TOGETHER and ",
        "",
        shared.test_a_commit_takes_no_more_than_it_may,
    ),
    Mutant(
        "answers in the order of the locks",
        turns.SharedCommits._turns,
        'sorted(rows, key=itemgetter("nth"))',
        "rows",
        shared.test_each_gets_its_own_answer,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_a_planted_bug_is_caught(mutant: Mutant[Test], migrated_database: MigratedDatabase) -> None:
    with mutant.planted():
        assert await is_caught(mutant, migrated_database), f"{mutant.caught_by} passes with the bug: {mutant.bug}"


async def is_caught(mutant: Mutant[Test], migrated_database: MigratedDatabase) -> bool:
    """Whether the test fails with the bug, or does not end."""
    async with open_books(migrated_database("taor_budget")) as books:
        try:
            async with asyncio.timeout(SECONDS):
                return await fails(mutant.caught_by, books)
        except (TimeoutError, TypeError, asyncio.InvalidStateError, ServiceError, asyncpg.PostgresError):
            return True
