"""Bugs planted into the SQL of deletions: each one must be caught by the test that it names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import pytest

from taor_checkpoint.errors import CheckpointError
from tests.contract.checkpoint import test_deletion, test_retention
from tests.contract.checkpoint.laboratory import Laboratory, running_laboratory
from tests.support.postgres import MigratedDatabase

Test = Callable[[Laboratory], Awaitable[None]]
CAUGHT = (AssertionError, CheckpointError, asyncpg.PostgresError, pytest.fail.Exception)
# The database itself forbids a deleted project with a key; without that, the tests must see it.
UNGUARDED = "ALTER TABLE project_keys DROP CONSTRAINT deleted_has_no_key;\n"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one file of SQL, and the test that must fail with it."""

    bug: str
    file: str
    old: str
    new: str
    caught_by: Test


MUTANTS = [
    Mutant(
        "key not shredded",
        "deletion.sql",
        "DO UPDATE SET wrapped_key = NULL, delete_time",
        "DO UPDATE SET delete_time",
        test_deletion.test_what_remains_of_the_rows_cannot_be_opened,
    ),
    Mutant(
        "retention takes a running build",
        "deletion.sql",
        "WHERE o.close_time <= taor_now() - p_age AND",
        "WHERE o.create_time <= taor_now() - p_age AND",
        test_retention.test_a_build_that_has_not_ended_is_never_taken,
    ),
    Mutant(
        "retention counts from the beginning",
        "deletion.sql",
        "WHERE o.close_time <= taor_now() - p_age AND",
        "WHERE o.closed AND o.create_time <= taor_now() - p_age AND",
        test_retention.test_the_time_runs_from_the_end_and_not_from_the_beginning,
    ),
    Mutant(
        "retention takes what a fork reads",
        "deletion.sql",
        "ORDER BY o.close_time LIMIT p_most FOR UPDATE SKIP LOCKED)",
        "ORDER BY o.close_time LIMIT p_most FOR KEY SHARE SKIP LOCKED)",
        test_retention.test_a_build_that_is_being_read_for_a_fork_is_left_for_the_next_round,
    ),
    Mutant(
        "a deleted project begins anew",
        "history.sql",
        " AND k.delete_time IS NULL FOR SHARE",
        " FOR SHARE",
        test_deletion.test_a_project_that_was_never_seen_is_deleted_too,
    ),
    Mutant(
        "attach beside the deletion unlocked",
        "history.sql",
        " AND k.delete_time IS NULL FOR SHARE",
        " AND k.delete_time IS NULL",
        test_deletion.test_a_deletion_waits_for_the_attach_that_came_first_and_finds_its_session,
    ),
    Mutant(
        "append into a deleted project",
        "history.sql",
        "k.project_id = v_session.project_id AND k.delete_time IS NOT NULL)",
        "false)",
        test_deletion.test_another_process_that_still_has_the_key_appends_nothing,
    ),
    Mutant(
        "all rows at once",
        "deletion.sql",
        "ORDER BY e.sequence LIMIT p_most",
        "ORDER BY e.sequence",
        test_deletion.test_a_deletion_takes_a_bounded_number_of_rows_at_a_time,
    ),
    Mutant(
        "done before the rows have gone",
        "deletion.sql",
        "    IF v_count = 0 THEN\n",
        "    IF true THEN\n",
        test_deletion.test_its_rows_go_and_a_tombstone_stays,
    ),
    Mutant(
        "rows of a live log can be deleted",
        "deletion.sql",
        " AND s.delete_time IS NOT NULL;\n        IF FOUND",
        ";\n        IF FOUND",
        test_deletion.test_rows_of_a_live_log_cannot_be_deleted_even_by_mistake,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_the_named_test_catches(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    sql = (files("taor_checkpoint") / "sql" / mutant.file).read_text("utf-8")
    assert sql.count(mutant.old) == 1, "the place of the bug has changed: plant it anew"
    async with running_laboratory(migrated_database("taor_checkpoint")) as laboratory:
        await laboratory.pool.execute(UNGUARDED + sql.replace(mutant.old, mutant.new))
        with pytest.raises(CAUGHT):
            await mutant.caught_by(laboratory)
