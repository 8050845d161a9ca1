"""A feed reads a build's events once for all its watchers, whoever comes, lags or leaves."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from taor_orchestrator.feed import KEPT_EVENTS, Feed
from taor_orchestrator.store.events import PAGE_ROWS, StoredEvent

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


class Table:
    """The events of a build; every read takes a moment, and is counted."""

    def __init__(self) -> None:
        self.head = 0
        self.reads: list[int] = []
        self.error: Exception | None = None

    async def read(self, after: int) -> Sequence[StoredEvent]:
        self.reads.append(after)
        if self.error is not None:
            raise self.error
        await asyncio.sleep(0)
        return [StoredEvent(n, n, "{}", NOW) for n in range(after + 1, min(self.head, after + PAGE_ROWS) + 1)]


@asynccontextmanager
async def fed(table: Table) -> AsyncIterator[Feed]:
    """A feed of the table."""
    feed = Feed(table.read, asyncio.Event())
    try:
        yield feed
    finally:
        await feed.close()


async def grow(table: Table, feed: Feed, head: int) -> None:
    """New events, of which this process knows."""
    table.head = head
    feed.news.set()


async def until(feed: Feed, after: int, end: int) -> list[int]:
    """What a watcher sees from `after` to `end`."""
    seen: list[int] = []
    while after < end:
        page = await feed.after(after)
        seen += [event.sequence for event in page]
        after = seen[-1] if seen else after
        if not page:
            await feed.grown(after)
    return seen


async def test_those_who_come_together_share_every_read() -> None:
    table = Table()
    table.head = 2 * PAGE_ROWS
    async with fed(table) as feed:
        seen = await asyncio.gather(*(until(feed, 0, table.head) for _ in range(50)))
        assert seen == [list(range(1, table.head + 1))] * 50
        assert len(table.reads) <= 4


async def test_what_is_new_is_read_once_for_all() -> None:
    table = Table()
    async with fed(table) as feed:
        watchers = [asyncio.create_task(until(feed, 0, 30)) for _ in range(50)]
        for head in range(0, 31, 3):
            await grow(table, feed, head)
            await asyncio.sleep(0)
        assert await asyncio.gather(*watchers) == [list(range(1, 31))] * 50
        assert len(table.reads) <= 2 + 30 // 3


async def test_who_lags_behind_what_is_kept_reads_the_table_and_misses_nothing() -> None:
    table = Table()
    async with fed(table) as feed:
        assert await feed.after(0) == []
        for head in range(0, 3 * KEPT_EVENTS + 1, PAGE_ROWS):
            await grow(table, feed, head)
            await until(feed, max(head - PAGE_ROWS, 0), head)
        reads = len(table.reads)
        assert await until(feed, 0, table.head) == list(range(1, table.head + 1))
        assert len(table.reads) - reads == 2 * KEPT_EVENTS // PAGE_ROWS
        assert len(feed._newest) == KEPT_EVENTS


async def test_who_comes_with_a_later_number_leaves_no_gap_for_the_others() -> None:
    table = Table()
    table.head = 500
    async with fed(table) as feed:
        everything, the_end = await asyncio.gather(until(feed, 0, 500), until(feed, 490, 500))
        assert everything == list(range(1, 501))
        assert the_end == list(range(491, 501))
        table.head = 510
        assert await until(feed, 505, 510) == list(range(506, 511))


async def test_an_error_of_the_table_reaches_who_waits() -> None:
    table = Table()
    async with fed(table) as feed:
        assert await feed.after(0) == []
        table.error = OSError("the database is away")
        waiting = asyncio.create_task(feed.grown(0))
        feed.news.set()
        with pytest.raises(OSError, match="away"):
            await waiting
        assert feed.is_over


async def test_a_failed_read_is_told_to_all_who_share_it_and_the_next_one_may_succeed() -> None:
    table = Table()
    table.head, table.error = 5, OSError("the database is away")
    async with fed(table) as feed:
        told = await asyncio.gather(*(feed.after(0) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in told] == [OSError] * 3
        assert table.reads == [0]
        table.error = None
        assert await until(feed, 0, 5) == [1, 2, 3, 4, 5]
