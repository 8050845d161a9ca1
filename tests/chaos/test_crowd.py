"""Builds wait for their model in one worker, then in three, of which two are killed: each build ends exactly once."""

from tests.chaos.crowd import Crowd, run_crowd


async def test_each_build_of_a_crowd_ends_exactly_once() -> None:
    crowd = Crowd(builds=16, kills=2, turns=3, think_seconds=3.0, timeout_seconds=180)
    outcome = await run_crowd(crowd)
    assert list(outcome.findings) == []
    assert outcome.taken_over >= crowd.builds
