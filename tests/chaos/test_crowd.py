"""A hundred builds wait in three workers, three workers are killed: each build ends exactly once."""

from tests.chaos.crowd import Crowd, run_crowd
from tests.support.postgres import MigratedDatabase


async def test_each_build_of_a_crowd_ends_exactly_once(migrated_database: MigratedDatabase) -> None:
    crowd = Crowd(builds=100, workers=3, kills=3, timeout_seconds=240)
    outcome = await run_crowd(migrated_database("taor_orchestrator"), crowd)
    assert list(outcome.findings()) == []
    assert outcome.taken_over >= crowd.kills
