"""Watching a build: pages of its events, and waiting for more without asking the database all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from taor_orchestrator.feed import Feeds
from taor_orchestrator.livetext import LiveText, Piece
from taor_orchestrator.store.events import StoredEvent


class Watch:
    """Follows the events of builds from any number on, page by page."""

    def __init__(self, feeds: Feeds, live: LiveText, stopping: asyncio.Event) -> None:
        self._feeds = feeds
        self._live = live
        self._stopping = stopping

    async def follow(
        self, tenant_id: str, build_id: str, after_sequence: int
    ) -> AsyncGenerator[Sequence[StoredEvent], None]:
        """Pages of events after `after_sequence`, for ever; it ends only when this process stops."""
        async with self._feeds.entered(tenant_id, build_id) as feed:
            while not self._stopping.is_set():
                if page := await feed.after(after_sequence):
                    after_sequence = page[-1].sequence
                    yield page
                else:
                    await feed.grown(after_sequence)

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
                page_is_there = page.done()  # looked at before the words are taken: those of its turns come first
                for piece in reader.take():
                    yield piece
                if page_is_there:
                    if (events := page.result()) is None:
                        return
                    yield events
                    page = _next(pages, news)
        finally:
            self._live.leave(build_id, reader)
            page.cancel()
            await asyncio.wait({page})
            await pages.aclose()


def _next(
    pages: AsyncIterator[Sequence[StoredEvent]], news: asyncio.Event
) -> asyncio.Future[Sequence[StoredEvent] | None]:
    """The next page, None after the last; `news` is set when it has come."""
    page = asyncio.ensure_future(anext(pages, None))
    page.add_done_callback(lambda _: news.set())
    return page
