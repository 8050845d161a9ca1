"""Logs that are kept for a time: only of builds that have ended, and only after it."""

import asyncio
from datetime import timedelta

import pytest

from taor_checkpoint.entries import Fork, SessionId
from taor_checkpoint.errors import LogExpired, SessionNotFound
from taor_checkpoint.forks import Forks
from taor_checkpoint.store.forks import ForkStore
from tests.contract.checkpoint.laboratory import KEEP, PROJECT, TENANT, Laboratory, claim, head, outcome, user

LATER = KEEP + timedelta(hours=1)


async def test_the_log_of_an_ended_build_goes_after_its_time(laboratory: Laboratory) -> None:
    build = await _ended(laboratory)
    await _pass(laboratory, KEEP - timedelta(hours=1))
    assert not await laboratory.deletions.round()
    assert len(await laboratory.log(build)) == 3
    await _pass(laboratory, LATER)
    assert await laboratory.deletions.round()
    for call in (
        laboratory.log(build),
        laboratory.history.append(build, 1, 3, [user("late")]),
        laboratory.history.attach(claim(build, 2)),
    ):
        with pytest.raises(LogExpired):
            await call
    assert await laboratory.pool.fetchval("SELECT count(*) FROM entries") == 0


async def test_a_build_that_has_not_ended_is_never_taken(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("brief")])
    await _pass(laboratory, 10 * LATER)
    assert not await laboratory.deletions.round()
    assert len(await laboratory.log(build)) == 2
    assert await laboratory.history.append(build, 1, 2, [user("after a long sleep")]) == 3


async def test_the_time_runs_from_the_end_and_not_from_the_beginning(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("brief")])
    await _pass(laboratory, LATER)
    await laboratory.history.append(build, 1, 2, [outcome()])
    assert not await laboratory.deletions.round()
    assert len(await laboratory.log(build)) == 3


async def test_other_builds_of_the_project_go_on(laboratory: Laboratory) -> None:
    old = await _ended(laboratory)
    await _pass(laboratory, LATER)
    young = await _ended(laboratory)
    await laboratory.deletions.round()
    assert len(await laboratory.log(young)) == 3
    told = {each.session_id: each for each in await laboratory.sessions.list(TENANT, PROJECT, "", 10)}
    assert told[old].delete_time is not None
    assert told[young].delete_time is None


async def test_a_build_that_is_being_read_for_a_fork_is_left_for_the_next_round(laboratory: Laboratory) -> None:
    """A fork copies its origin under a shared lock on its session."""
    build = await _ended(laboratory)
    await _pass(laboratory, LATER)
    async with laboratory.pool.acquire() as fork, fork.transaction():
        await fork.execute("SELECT 1 FROM sessions WHERE build_id = $1 FOR SHARE", build.build_id)
        sweep = asyncio.create_task(laboratory.deletions.round())
        await laboratory.wait_until_blocked(sweep, 1)
        waited = not sweep.done()
    assert not await sweep
    assert not waited, "a fork holds up the sweep of all other logs"
    assert len(await laboratory.log(build)) == 3
    assert await laboratory.deletions.round()


async def test_a_fork_outlives_the_log_that_it_came_from(laboratory: Laboratory) -> None:
    origin = await _ended(laboratory)
    fork = Fork(laboratory.new_build(), origin.build_id, PROJECT, 2)
    assert await Forks(ForkStore(laboratory.pool)).make(fork) == 2
    await _pass(laboratory, LATER)
    assert await laboratory.deletions.round()
    with pytest.raises(LogExpired):
        await laboratory.log(origin)
    assert [each.content.body for each in await laboratory.log(fork.session_id)] == [b"head", b"brief"]
    later = Fork(laboratory.new_build(), origin.build_id, PROJECT, 2)
    with pytest.raises(SessionNotFound):
        await Forks(ForkStore(laboratory.pool)).make(later)


async def test_an_unknown_log_is_told_apart_from_an_expired_one(laboratory: Laboratory) -> None:
    with pytest.raises(SessionNotFound):
        await laboratory.history.session(laboratory.new_build())


async def _ended(laboratory: Laboratory) -> SessionId:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("brief", "inbox-1"), outcome()])
    return build


async def _pass(laboratory: Laboratory, time: timedelta) -> None:
    """Set the clock of the database ahead of the real one."""
    await laboratory.pool.execute("UPDATE taor_clock_offset SET offset_by = $1", time)
