"""Whatever happens to two builds of an account, in whatever order, money is never lost, doubled or overspent."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.service.budget.books import open_books
from tests.service.budget.machine import LedgerMachine
from tests.support.loop_thread import LoopThread
from tests.support.postgres import MigratedDatabase

HISTORIES = settings(
    max_examples=40, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def test_random_histories_agree_with_the_model(migrated_database: MigratedDatabase) -> None:
    run_histories(migrated_database("taor_budget"), HISTORIES)


def run_histories(dsn: str, histories: settings, sql: str = "SELECT 1") -> None:
    """Play random histories against the ledger of a database, after this change of it."""
    loop = LoopThread()
    opened = open_books(dsn)
    books = loop.run(opened.__aenter__())
    try:
        loop.run(books.pool.execute(sql))
        machine = type("Machine", (LedgerMachine,), {"books": books, "loop": loop})
        run_state_machine_as_test(machine, settings=histories)
    finally:
        loop.run(opened.__aexit__(None, None, None))
        loop.close()
