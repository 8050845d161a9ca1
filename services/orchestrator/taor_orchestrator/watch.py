"""Watching a build: pages of its events, and waiting for more without asking the database all the time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from taor_orchestrator.livetext import LiveText, Piece
from taor_orchestrator.store.events import PAGE_ROWS, EventStore, StoredEvent

POLL_SECONDS = 0.5
"""How soon a watcher sees what another replica has recorded; what this one records it sees at once."""


class EventHub:
    """Wakes the watchers of a build in this process when it has recorded events."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, build_id: str) -> None:
        """The build has new events."""
        for watcher in self._watchers.get(build_id, ()):
            watcher.set()

    def enter(self, build_id: str) -> asyncio.Event:
        """An event that is set when the build has news; `leave` with it."""
        watcher = asyncio.Event()
        self._watchers[build_id].add(watcher)
        return watcher

    def leave(self, build_id: str, watcher: asyncio.Event) -> None:
        """The watcher is gone."""
        self._watchers[build_id].discard(watcher)
        if not self._watchers[build_id]:
            del self._watchers[build_id]


class Watch:
    """Follows the events of builds from any number on, page by page."""

    def __init__(self, events: EventStore, hub: EventHub, live: LiveText, stopping: asyncio.Event) -> None:
        self._events = events
        self._hub = hub
        self._live = live
        self._stopping = stopping

    async def follow(
        self, tenant_id: str, build_id: str, after_sequence: int
    ) -> AsyncGenerator[Sequence[StoredEvent], None]:
        """Pages of events after `after_sequence`, for ever; it ends only when this process stops."""
        news = self._hub.enter(build_id)
        try:
            while not self._stopping.is_set():
                news.clear()
                page = await self._events.page(tenant_id, build_id, after_sequence)
                if page:
                    after_sequence = page[-1].sequence
                    yield page
                if len(page) < PAGE_ROWS:
                    await self._wait(news)
        finally:
            self._hub.leave(build_id, news)

    async def follow_with_text(
        self, tenant_id: str, build_id: str, after_sequence: int
    ) -> AsyncIterator[Sequence[StoredEvent] | Piece]:
        """The same, and between the pages the words of model calls that this process makes, as they come."""
        news = asyncio.Event()
        reader = self._live.enter(build_id, news)
        pages = self.follow(tenant_id, build_id, after_sequence)
        page = _next(pages, news)
        try:
            while True:
                await news.wait()
                news.clear()
                for piece in reader.take():
                    yield piece
                if page.done():
                    if (events := page.result()) is None:
                        return
                    yield events
                    page = _next(pages, news)
        finally:
            self._live.leave(build_id, reader)
            page.cancel()
            await asyncio.wait({page})
            await pages.aclose()

    async def _wait(self, news: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await news.wait()
        except TimeoutError:
            return


def _next(
    pages: AsyncIterator[Sequence[StoredEvent]], news: asyncio.Event
) -> asyncio.Future[Sequence[StoredEvent] | None]:
    """The next page, None after the last; `news` is set when it has come."""
    page = asyncio.ensure_future(anext(pages, None))
    page.add_done_callback(lambda _: news.set())
    return page
