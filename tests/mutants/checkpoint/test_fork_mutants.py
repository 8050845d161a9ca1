"""Bugs planted into the SQL of forks: each one must be caught by the test that it names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import asyncpg
import pytest

from taor_checkpoint.errors import CheckpointError
from tests.contract.checkpoint import test_forks as forks
from tests.contract.checkpoint.laboratory import Laboratory, running_laboratory
from tests.support.postgres import MigratedDatabase

CAUGHT = (AssertionError, CheckpointError, asyncpg.PostgresError, pytest.fail.Exception)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the SQL, and the test that must fail with it."""

    bug: str
    old: str
    new: str
    caught_by: Callable[[Laboratory], Awaitable[None]]


MUTANTS = [
    Mutant(
        "an inbox item of the origin is taken for the fork's",
        "e.body_sha256, '{}', e.call",
        "e.body_sha256, e.inbox_ids, e.call",
        forks.test_a_fork_inherits_every_byte_but_neither_epoch_nor_inbox,
    ),
    Mutant(
        "a fork of a fork forgets who wrote an entry",
        "coalesce(e.origin_build_id, p_origin_build_id)",
        "p_origin_build_id",
        forks.test_a_fork_of_a_fork_names_who_wrote_each_entry,
    ),
    Mutant(
        "a build is forked from two places",
        "THEN 'DONE' ELSE 'FORK_CONFLICT' END",
        "THEN 'DONE' ELSE 'DONE' END",
        forks.test_a_build_is_forked_once_and_from_one_place,
    ),
    Mutant(
        "an outcome is inherited",
        " OR (v_origin.closed AND p_head = v_origin.head)",
        "",
        partial(forks.test_a_fork_is_within_the_log_and_before_its_outcome, closed=True, at=6),
    ),
    Mutant(
        "a log leaves its project",
        "IF v_origin.project_id <> p_project_id THEN",
        "IF false THEN",
        forks.test_a_fork_stays_in_the_project_and_needs_an_origin,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_the_named_test_catches(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    sql = (files("taor_checkpoint") / "sql" / "forks.sql").read_text("utf-8")
    assert sql.count(mutant.old) == 1, "the place of the bug has changed: plant it anew"
    async with running_laboratory(migrated_database("taor_checkpoint")) as laboratory:
        await laboratory.pool.execute(sql.replace(mutant.old, mutant.new))
        with pytest.raises(CAUGHT):
            await mutant.caught_by(laboratory)
