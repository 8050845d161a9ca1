"""Whatever people add, upgrade and downgrade between the calls of two builds, the ledger still holds B1 to B8."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.service.budget.adjusting import AdjustingMachine
from tests.service.budget.books import open_books
from tests.support.loop_thread import LoopThread
from tests.support.postgres import MigratedDatabase

HISTORIES = settings(
    max_examples=25, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def test_random_histories_with_adjustments_agree_with_the_model(migrated_database: MigratedDatabase) -> None:
    run_adjusting_histories(migrated_database("taor_budget"), HISTORIES)


def run_adjusting_histories(dsn: str, histories: settings, sql: str = "SELECT 1") -> None:
    """Play random histories against the ledger of a database, after this change of it."""
    loop = LoopThread()
    opened = open_books(dsn)
    books = loop.run(opened.__aenter__())
    try:
        loop.run(books.pool.execute(sql))
        machine = type("Machine", (AdjustingMachine,), {"books": books, "loop": loop})
        run_state_machine_as_test(machine, settings=histories)
    finally:
        loop.run(opened.__aexit__(None, None, None))
        loop.close()
