"""Events as their watchers read them: paged by number, so that a slow reader misses nothing."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

PAGE = """
    SELECT sequence, log_sequence, payload, created_at FROM events
    WHERE build_id = $1 AND tenant_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4"""

PAGE_ROWS = 200


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was recorded; the payload is the JSON of `store/payloads`."""

    sequence: int
    log_sequence: int
    payload: str
    created_at: datetime.datetime


class EventStore:
    """The table of events."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(self, tenant_id: str, build_id: str, after_sequence: int) -> Sequence[StoredEvent]:
        """The next events after `after_sequence`, at most `PAGE_ROWS`."""
        rows = await self._pool.fetch(PAGE, UUID(build_id), tenant_id, after_sequence, PAGE_ROWS)
        return [StoredEvent(*row) for row in rows]
