"""The log as its one writer sees it: it grows in memory at once, and durably in order.

What nobody waits for, the results of tools, may trail: it goes with the next answer, in one append and one commit. The
protocol lets it ("The turn", 5), for results can be had again until the answer to them is logged.
"""

from __future__ import annotations

import asyncio

from taor_orchestrator.build import Claim
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.ports import Checkpoint
from taor_orchestrator.projector import Projector

TRAIL_SECONDS = 1.0
"""How long an entry trails when nothing follows it: so much later do those who watch the build see it."""
MAX_TRAIL_BYTES = 1_000_000
"""A longer body goes at once; an append has room for 12 MiB, and the next answer may be long too."""


class Log:
    """Appends entries in order, each after the one before it is acknowledged, and has them projected."""

    def __init__(self, claim: Claim, checkpoint: Checkpoint, projector: Projector, history: History) -> None:
        self._claim = claim
        self._checkpoint = checkpoint
        self._projector = projector
        self._history = history
        self._sent = history.head
        self._trailing: asyncio.TimerHandle | None = None
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
        """Send `entries` off, after what trails; the task ends when they are durable, or fails with what kept them."""
        self._history = self._history.grow(*entries)
        return self._send()

    def trail(self, entry: Entry) -> None:
        """Add an entry that nobody waits for: it is sent with the next one, or by itself after `TRAIL_SECONDS`."""
        if len(entry.body) > MAX_TRAIL_BYTES:
            self.append(entry)
            return
        self._history = self._history.grow(entry)
        if self._trailing is None:
            self._trailing = asyncio.get_running_loop().call_later(TRAIL_SECONDS, self._send)

    async def flush(self) -> None:
        """Wait until everything appended is durable and projected."""
        if self._trailing is not None:
            self._send()
        if self._last is not None:
            await self._last
        await self._projector.settle()

    async def close(self) -> None:
        """Stop; what was not acknowledged is for the next worker to find out."""
        self._stop_trailing()
        if self._last is not None:
            self._last.cancel()
            await asyncio.wait({self._last})
        await self._projector.close()

    def _send(self) -> asyncio.Task[None]:
        """Send off whatever was not sent yet."""
        self._stop_trailing()
        sent, self._sent = self._sent, self._history.head
        self._last = asyncio.ensure_future(self._write(self._last, sent, self._history))
        return self._last

    def _stop_trailing(self) -> None:
        if self._trailing is not None:
            self._trailing.cancel()
            self._trailing = None

    async def _write(self, before: asyncio.Task[None] | None, head: int, grown: History) -> None:
        if before is not None:
            await before
        await self._checkpoint.append(self._claim, head, grown.entries[head:])
        self._projector.show(grown)
