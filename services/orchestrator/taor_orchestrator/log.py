"""The log as its one writer sees it: it grows in memory at once, and durably in order."""

from __future__ import annotations

import asyncio

from taor_orchestrator.build import Claim
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.ports import Checkpoint
from taor_orchestrator.projector import Projector


class Log:
    """Appends entries in order, each after the one before it is acknowledged, and has them projected."""

    def __init__(self, claim: Claim, checkpoint: Checkpoint, projector: Projector, history: History) -> None:
        self._claim = claim
        self._checkpoint = checkpoint
        self._projector = projector
        self._history = history
        self._last: asyncio.Task[None] | None = None
        projector.show(history)

    @property
    def history(self) -> History:
        """Every entry, those that are still on their way included."""
        return self._history

    def draft(
        self, kind: EntryKind, body: bytes, *, call: ModelCall | None = None, inbox_ids: tuple[str, ...] = ()
    ) -> Entry:
        """The entry that would come next."""
        return Entry(self._history.head + 1, 1, self._claim.epoch, kind, body, inbox_ids, call)

    def append(self, *entries: Entry) -> asyncio.Task[None]:
        """Send `entries` off; the task ends when they are durable, or fails with what kept them back."""
        head = self._history.head
        self._history = self._history.grow(*entries)
        self._last = asyncio.ensure_future(self._write(self._last, head, entries, self._history))
        return self._last

    async def flush(self) -> None:
        """Wait until everything appended is durable and projected."""
        if self._last is not None:
            await self._last
        await self._projector.settle()

    async def close(self) -> None:
        """Stop; what was not acknowledged is for the next worker to find out."""
        if self._last is not None:
            self._last.cancel()
            await asyncio.wait({self._last})
        await self._projector.close()

    async def _write(
        self, before: asyncio.Task[None] | None, head: int, entries: tuple[Entry, ...], grown: History
    ) -> None:
        if before is not None:
            await before
        await self._checkpoint.append(self._claim, head, entries)
        self._projector.show(grown)
