"""An append happens once, as it was asked for, or not at all (C1, C3, C4)."""

import asyncpg
import pytest

from taor_checkpoint.entries import NewEntry, SessionId
from taor_checkpoint.errors import HeadMoved, InboxIdRepeated, LogClosed, SessionNotFound
from tests.contract.checkpoint.laboratory import Laboratory, assistant, claim, head, outcome, user


async def test_what_was_appended_is_read_back_whole(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    appended = [head(), user("brief", "inbox-1"), assistant("answer"), user("results")]
    assert await laboratory.history.append(build, 1, 0, appended) == 4
    log = await laboratory.log(build)
    assert [each.content for each in log] == appended
    assert [each.place.sequence for each in log] == [1, 2, 3, 4]
    assert {each.place.epoch for each in log} == {1}


async def test_a_head_opens_a_segment(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head("one"), user("a"), head("two"), user("b")])
    await laboratory.history.append(build, 1, 4, [user("c"), head("three")])
    assert [each.place.segment for each in await laboratory.log(build)] == [1, 1, 2, 2, 2, 3]


async def test_a_repeated_append_gets_the_first_answer(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    first = [head(), user("brief", "inbox-1"), assistant("answer")]
    assert await laboratory.history.append(build, 1, 0, first) == 3
    assert await laboratory.history.append(build, 1, 3, [user("results")]) == 4
    assert await laboratory.history.append(build, 1, 0, first) == 3
    assert len(await laboratory.log(build)) == 4


async def test_other_bytes_are_no_retry(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head("one")])
    with pytest.raises(HeadMoved):
        await laboratory.history.append(build, 1, 0, [head("two")])


@pytest.mark.parametrize(
    "other",
    [
        [head("other")],
        [user("head")],
        [head(), user("brief")],
        [head(), user("brief", "inbox-2")],
        [head(), user("brief", "inbox-1"), assistant("answer", "build/1/7")],
        [head(), user("brief", "inbox-1"), assistant("answer"), user("more")],
    ],
    ids=["bytes", "kind", "no inbox id", "inbox id", "call", "longer"],
)
async def test_another_append_at_the_same_head_learns_the_real_head(
    laboratory: Laboratory, other: list[NewEntry]
) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("brief", "inbox-1"), assistant("answer")])
    with pytest.raises(HeadMoved) as refusal:
        await laboratory.history.append(build, 1, 0, other)
    assert refusal.value.metadata == {"head": "3"}
    assert len(await laboratory.log(build)) == 3


async def test_an_append_beyond_the_head_is_refused(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head()])
    with pytest.raises(HeadMoved):
        await laboratory.history.append(build, 1, 2, [user("too far")])


async def test_nothing_follows_an_outcome(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    last = [user("brief"), outcome()]
    await laboratory.history.append(build, 1, 0, [head()])
    await laboratory.history.append(build, 1, 1, last)
    with pytest.raises(LogClosed):
        await laboratory.history.append(build, 1, 3, [user("too late")])
    assert await laboratory.history.append(build, 1, 1, last) == 3


async def test_an_inbox_item_stands_in_one_entry_only(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("brief", "inbox-1")])
    with pytest.raises(InboxIdRepeated):
        await laboratory.history.append(build, 1, 2, [user("again", "inbox-2", "inbox-1")])
    assert await laboratory.history.append(build, 1, 2, [user("another", "inbox-2")]) == 3


async def test_a_build_that_never_attached_has_no_log(laboratory: Laboratory) -> None:
    with pytest.raises(SessionNotFound):
        await laboratory.history.append(laboratory.new_build(), 1, 0, [head()])


async def test_another_tenant_sees_nothing(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head()])
    foreign = SessionId("other", build.build_id)
    with pytest.raises(SessionNotFound):
        await laboratory.history.append(foreign, 1, 1, [user("intruder")])
    with pytest.raises(SessionNotFound):
        await laboratory.log(foreign)
    assert await laboratory.history.attach(claim(foreign, 1)) == 0
    assert len(await laboratory.log(build)) == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entries SET epoch = 9", "DELETE FROM entries", "TRUNCATE entries", "DELETE FROM inbox_entries"],
)
async def test_rows_are_only_ever_added(laboratory: Laboratory, statement: str) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("brief", "inbox-1")])
    with pytest.raises(asyncpg.RestrictViolationError):
        await laboratory.pool.execute(statement)
