"""Two writers meet in the order that hurts; the order is made by hand: a lock holds the first one in its middle."""

import asyncio

from taor_checkpoint.entries import SessionId
from taor_checkpoint.errors import HeadMoved
from taor_checkpoint.store.entries import Outcome
from tests.contract.checkpoint.laboratory import Laboratory, claim, head, user

# An append has looked at its session when it wants to write its entries: there this lock stops it.
STOP_INSERTS = "LOCK TABLE entries IN SHARE MODE"


async def test_attach_waits_for_the_append_that_came_first(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    async with laboratory.pool.acquire() as gate, gate.transaction():
        await gate.execute(STOP_INSERTS)
        append = asyncio.create_task(laboratory.history.append(build, 1, 0, [head()]))
        await laboratory.wait_until_blocked(append, 1)
        attach = asyncio.create_task(laboratory.history.attach(claim(build, 2)))
        await laboratory.wait_until_blocked(attach, 2)
    told, appended = await asyncio.gather(attach, append)
    older = [entry for entry in await laboratory.log(build) if entry.place.epoch < 2]
    assert told == len(older), "an entry of the old epoch appeared after the new one had read the log"
    assert appended == 1


async def test_of_two_appends_at_one_head_the_second_learns_the_real_head(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    first, second = await _meet(laboratory, build, "first", "second")
    assert first == 1
    assert isinstance(second, HeadMoved), f"the loser of a race was told {second!r}"
    assert second.metadata == {"head": "1"}
    assert [entry.content.body for entry in await laboratory.log(build)] == [b"first"]


async def test_a_retry_beside_its_original_is_one_append(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    assert await _meet(laboratory, build, "same", "same") == (1, 1)
    assert len(await laboratory.log(build)) == 1


async def test_many_writers_leave_one_unbroken_log(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    await laboratory.history.append(build, 1, 0, [head()])

    async def write(writer: int) -> int:
        written = 0
        for at in range(1, 30):
            outcome = await laboratory.entries.append(build, 1, at, [user(f"{writer}/{at}", f"{writer}/{at}")], 0)
            written += outcome.outcome is Outcome.DONE
        return written

    written = await asyncio.gather(*(write(writer) for writer in range(6)))
    session = await laboratory.history.session(build)
    rows = await laboratory.pool.fetch("SELECT sequence FROM entries WHERE build_id = $1 ORDER BY 1", build.build_id)
    assert [row["sequence"] for row in rows] == list(range(1, session.head + 1))
    assert sum(written) == session.head - 1


async def _meet(laboratory: Laboratory, build: SessionId, one: str, other: str) -> tuple[object, object]:
    """Two appends at head 0, the second sent while the first is in its middle: what each of them was told."""
    async with laboratory.pool.acquire() as gate, gate.transaction():
        await gate.execute(STOP_INSERTS)
        first = asyncio.create_task(laboratory.history.append(build, 1, 0, [head(one)]))
        await laboratory.wait_until_blocked(first, 1)
        second = asyncio.create_task(laboratory.history.append(build, 1, 0, [head(other)]))
        await laboratory.wait_until_blocked(second, 2)
    told = await asyncio.gather(first, second, return_exceptions=True)
    return told[0], told[1]
