"""The events of a build, read from the database once for everybody in this process who watches it.

A watcher asks the feed for what comes after the last event that it has sent, so a slow one takes what it can and holds
up nobody. Whoever is within the newest events is served from memory; who is further behind reads the table, and those
who are at the same place share that read, too.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from taor_chassis import deadlines
from taor_orchestrator.store.events import PAGE_ROWS, EventStore, StoredEvent

POLL_SECONDS = 0.5
"""How soon a watcher sees what another replica has recorded; what this one records it sees at once."""
KEPT_EVENTS = 2 * PAGE_ROWS
"""How many of the newest events of a watched build stay in memory."""

_NOWHERE = -1

T = TypeVar("T")


class EventHub:
    """Wakes the feed of a build in this process when it has recorded events."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, build_id: str) -> None:
        """The build has new events."""
        for listener in self._listeners.get(build_id, ()):
            listener.set()

    def enter(self, build_id: str, news: asyncio.Event) -> None:
        """From now on `news` is set when the build has news; `leave` with it."""
        self._listeners[build_id].add(news)

    def leave(self, build_id: str, news: asyncio.Event) -> None:
        """Nobody waits for it any more."""
        self._listeners[build_id].discard(news)
        if not self._listeners[build_id]:
            del self._listeners[build_id]


class Feed:
    """One build, as long as it is watched."""

    def __init__(self, read: Callable[[int], Awaitable[Sequence[StoredEvent]]], stopping: asyncio.Event) -> None:
        self.news = asyncio.Event()
        self.watchers = 0
        self._read = read
        self._newest: deque[StoredEvent] = deque(maxlen=KEPT_EVENTS)
        self._head = _NOWHERE
        self._reads: dict[int, asyncio.Task[Sequence[StoredEvent]]] = {}  # at most one for each watcher
        self._turn = asyncio.Event()  # the next change of `_head`; each change has one of its own
        with deadlines.detached():  # the watcher who happens to be first may leave before the others
            self._following = asyncio.ensure_future(self._follow(stopping))
        self._following.add_done_callback(lambda _: self._next_turn())

    @property
    def is_over(self) -> bool:
        """Whether it reads nothing any more: the process stops, or the database has failed."""
        return self._following.done()

    async def after(self, sequence: int) -> Sequence[StoredEvent]:
        """The next events after this number, at most a page; none when there are none yet."""
        if self._head != _NOWHERE and sequence >= self._head:
            return ()
        if self._newest and self._newest[0].sequence <= sequence + 1:
            first = sequence + 1 - self._newest[0].sequence
            return tuple(itertools.islice(self._newest, first, first + PAGE_ROWS))
        if sequence not in self._reads:
            self._begin_read(sequence)
        return await asyncio.shield(self._reads[sequence])

    async def grown(self, sequence: int) -> None:
        """Wait for events after this number, or for the end of the feed; raises what has ended it."""
        while self._head <= sequence and not self.is_over:
            await self._turn.wait()
        if self.is_over:
            self._following.result()

    async def close(self) -> None:
        """Nobody watches any more."""
        open_tasks = {self._following, *self._reads.values()}
        for task in open_tasks:
            task.cancel()
        await asyncio.wait(open_tasks)
        _look_at(self._following)

    async def _follow(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self.news.clear()
            page = await self._read_after(self._head) if self._head != _NOWHERE else ()
            if len(page) < PAGE_ROWS:
                await _until(self.news, POLL_SECONDS)

    def _begin_read(self, sequence: int) -> None:
        with deadlines.detached():
            reading = self._reads[sequence] = asyncio.ensure_future(self._read_after(sequence))
        reading.add_done_callback(partial(self._end_read, sequence))

    def _end_read(self, sequence: int, reading: asyncio.Task[Sequence[StoredEvent]]) -> None:
        del self._reads[sequence]
        _look_at(reading)

    async def _read_after(self, sequence: int) -> Sequence[StoredEvent]:
        page = await self._read(sequence)
        end, head = page[-1].sequence if page else sequence, self._head
        if end > head:
            if sequence > head:  # what lies between was never asked for
                self._newest.clear()
            known = head if self._newest else sequence
            self._newest.extend(event for event in page if event.sequence > known)
            self._head = end
            self._next_turn()
        if head == _NOWHERE:
            self.news.set()  # so far nobody could follow what was told
        return page

    def _next_turn(self) -> None:
        self._turn, turned = asyncio.Event(), self._turn
        turned.set()


class Feeds:
    """The feeds of all builds that are watched in this process."""

    def __init__(self, events: EventStore, hub: EventHub, stopping: asyncio.Event) -> None:
        self._events = events
        self._hub = hub
        self._stopping = stopping
        self._feeds: dict[tuple[str, str], Feed] = {}  # bounded by the open watches

    @asynccontextmanager
    async def entered(self, tenant_id: str, build_id: str) -> AsyncIterator[Feed]:
        """The feed of a build, for one more watcher; the last one who leaves closes it."""
        feed = self._feeds.get((tenant_id, build_id))
        if feed is None or feed.is_over:
            feed = self._open(tenant_id, build_id)
        feed.watchers += 1
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                await self._close(tenant_id, build_id, feed)

    def _open(self, tenant_id: str, build_id: str) -> Feed:
        async def read(after_sequence: int) -> Sequence[StoredEvent]:
            return await self._events.page(tenant_id, build_id, after_sequence)

        feed = self._feeds[tenant_id, build_id] = Feed(read, self._stopping)
        self._hub.enter(build_id, feed.news)
        return feed

    async def _close(self, tenant_id: str, build_id: str, feed: Feed) -> None:
        self._hub.leave(build_id, feed.news)
        if self._feeds.get((tenant_id, build_id)) is feed:
            del self._feeds[tenant_id, build_id]
        await feed.close()


def _look_at(task: asyncio.Task[T]) -> None:
    """Look at a failure that nobody may be left to be told of."""
    if not task.cancelled():
        task.exception()


async def _until(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
