"""A fork begins with what another build has written, and nothing of it is its own."""

import asyncio

import pytest

from taor_checkpoint.entries import Fork, Kind, LogEntry, SessionId
from taor_checkpoint.errors import ForkConflict, ForkPointInvalid, ProjectMismatch, SessionNotFound, StaleEpoch
from taor_checkpoint.forks import Forks
from taor_checkpoint.store.forks import ForkStore
from tests.contract.checkpoint.laboratory import PROJECT, Laboratory, assistant, claim, head, outcome, user

EPOCH = 3
"""Of the origin, so that it cannot be taken for the fork's."""


def forks(laboratory: Laboratory) -> Forks:
    return Forks(ForkStore(laboratory.pool))


async def an_origin(laboratory: Laboratory, *, closed: bool = False) -> SessionId:
    """A log of five entries, with an inbox item in one of them."""
    build = await laboratory.attached(epoch=EPOCH)
    entries = [head(), user("brief"), assistant("one"), user("results", "inbox-1"), assistant("two", "build/3/1")]
    await laboratory.history.append(build, EPOCH, 0, [*entries, *([outcome()] if closed else [])])
    return build


def fork_of(laboratory: Laboratory, origin: SessionId, at: int = 4, project_id: str = PROJECT) -> Fork:
    """A new build that inherits so many entries."""
    return Fork(laboratory.new_build(), origin.build_id, project_id, at)


def _content(entries: list[LogEntry]) -> list[tuple[Kind, bytes, bytes, object, int]]:
    contents = [(each.content, each.place) for each in entries]
    return [(it.kind, it.body, it.body_sha256, it.call, place.segment) for it, place in contents]


async def test_a_fork_inherits_every_byte_but_neither_epoch_nor_inbox(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    fork = fork_of(laboratory, origin)
    assert await forks(laboratory).make(fork) == 4
    written, inherited = await laboratory.log(origin), await laboratory.log(fork.session_id)
    assert _content(inherited) == _content(written[:4])
    assert {(each.place.epoch, each.content.inbox_ids, each.origin_build_id) for each in inherited} == {
        (0, (), origin.build_id)
    }
    session = await laboratory.history.session(fork.session_id)
    assert (session.epoch, session.head) == (0, 4)
    assert session.body_bytes == sum(len(each.content.body) for each in inherited)


async def test_a_fork_goes_its_own_way_and_the_origin_another(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    fork = fork_of(laboratory, origin)
    await forks(laboratory).make(fork)
    assert await laboratory.history.attach(claim(fork.session_id, 1)) == 4
    await laboratory.history.append(fork.session_id, 1, 4, [user("a word", "inbox-1")])
    await laboratory.history.append(origin, EPOCH, 5, [user("more")])
    assert [each.origin_build_id for each in await laboratory.log(fork.session_id)] == [origin.build_id] * 4 + [""]
    assert [each.content.body for each in await laboratory.log(origin)][4:] == [b"two", b"more"]


async def test_an_entry_of_the_origin_is_no_retry_of_the_fork(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    fork = fork_of(laboratory, origin)
    await forks(laboratory).make(fork)
    await laboratory.history.attach(claim(fork.session_id, EPOCH))
    same = await laboratory.entries.append(fork.session_id, EPOCH, 1, [user("brief")], 0)
    assert same.outcome == "HEAD_MOVED"


async def test_the_same_fork_again_changes_nothing(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    fork = fork_of(laboratory, origin)
    both = await asyncio.gather(forks(laboratory).make(fork), forks(laboratory).make(fork))
    assert list(both) == [4, 4]
    await laboratory.history.attach(claim(fork.session_id, 1))
    await laboratory.history.append(fork.session_id, 1, 4, [user("its own")])
    assert await forks(laboratory).make(fork) == 4
    assert len(await laboratory.log(fork.session_id)) == 5
    with pytest.raises(StaleEpoch):
        await laboratory.history.attach(claim(fork.session_id, 1, owner="else"))


async def test_a_build_is_forked_once_and_from_one_place(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    fork = fork_of(laboratory, origin)
    await forks(laboratory).make(fork)
    with pytest.raises(ForkConflict):
        await forks(laboratory).make(Fork(fork.session_id, origin.build_id, PROJECT, 3))
    with pytest.raises(ForkConflict):
        await forks(laboratory).make(Fork(origin, fork.session_id.build_id, PROJECT, 3))


@pytest.mark.parametrize(("closed", "at"), [(False, 6), (True, 6), (True, 7)])
async def test_a_fork_is_within_the_log_and_before_its_outcome(
    laboratory: Laboratory, *, closed: bool, at: int
) -> None:
    origin = await an_origin(laboratory, closed=closed)
    fork = fork_of(laboratory, origin, at)
    with pytest.raises(ForkPointInvalid):
        await forks(laboratory).make(fork)
    with pytest.raises(SessionNotFound):
        await laboratory.history.session(fork.session_id)


async def test_a_fork_stays_in_the_project_and_needs_an_origin(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    with pytest.raises(ProjectMismatch):
        await forks(laboratory).make(fork_of(laboratory, origin, project_id="another"))
    nobody = laboratory.new_build()
    with pytest.raises(SessionNotFound):
        await forks(laboratory).make(fork_of(laboratory, nobody))
    elsewhere = Fork(SessionId("another-tenant", "fork"), origin.build_id, PROJECT, 4)
    with pytest.raises(SessionNotFound):
        await forks(laboratory).make(elsewhere)


async def test_a_fork_of_a_fork_names_who_wrote_each_entry(laboratory: Laboratory) -> None:
    origin = await an_origin(laboratory)
    first = fork_of(laboratory, origin, 2)
    await forks(laboratory).make(first)
    await laboratory.history.attach(claim(first.session_id, 1))
    await laboratory.history.append(first.session_id, 1, 2, [assistant("other", f"{first.session_id.build_id}/1/0")])
    second = fork_of(laboratory, first.session_id, 3)
    await forks(laboratory).make(second)
    log = await laboratory.log(second.session_id)
    assert [each.origin_build_id for each in log] == [origin.build_id, origin.build_id, first.session_id.build_id]
