"""Bugs planted into the SQL that deletes projects: each one must be caught by the test that it names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import grpc
import pytest

from tests.service.orchestrator import test_deletion as deletion
from tests.service.orchestrator.conftest import Orchestrator, running_orchestrator
from tests.support.postgres import MigratedDatabase

CAUGHT = (AssertionError, asyncpg.PostgresError, grpc.aio.AioRpcError, pytest.fail.Exception)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the SQL, and the test that must fail with it."""

    bug: str
    old: str
    new: str
    caught_by: Callable[[Orchestrator], Awaitable[None]]


MUTANTS = [
    Mutant(
        "a build begins in a project that is being deleted",
        "PERFORM pg_advisory_xact_lock_shared(project_lock(p_tenant_id, p_project_id));",
        "",
        deletion.test_a_build_that_is_started_beside_the_deletion_waits_for_it_and_is_refused,
    ),
    Mutant(
        "a project is deleted under a build that is being started",
        "PERFORM pg_advisory_xact_lock(project_lock(p_tenant_id, p_project_id));",
        "",
        deletion.test_a_deletion_waits_for_the_build_that_is_being_started_and_is_refused,
    ),
    Mutant(
        "a project is deleted while a build is at work",
        "IF cardinality(busy) > 0 THEN",
        "IF false THEN",
        deletion.test_a_project_with_a_build_at_work_is_not_deleted,
    ),
    Mutant(
        "a deleted project takes builds",
        "RETURN NOT EXISTS (",
        "RETURN true OR EXISTS (",
        deletion.test_a_deleted_project_is_told_as_such,
    ),
    Mutant(
        "texts of a living project can be deleted",
        "RAISE EXCEPTION 'the project % was not deleted', p_project_id USING ERRCODE = 'restrict_violation';",
        "NULL;",
        deletion.test_texts_go_only_with_their_project,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
async def test_the_named_test_catches(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    sql = (files("taor_orchestrator") / "sql" / "deletion.sql").read_text("utf-8")
    assert sql.count(mutant.old) == 1, "the place of the bug has changed: plant it anew"
    dsn, budget_dsn = migrated_database("taor_orchestrator"), migrated_database("taor_budget")
    async with running_orchestrator(dsn, budget_dsn) as orchestrator:
        await orchestrator.pool.execute(sql.replace(mutant.old, mutant.new))
        with pytest.raises(CAUGHT):
            await mutant.caught_by(orchestrator)
