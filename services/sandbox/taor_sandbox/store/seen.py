"""The rows that tell what the agent knows of its files."""

import asyncpg

from taor_sandbox.outcome import SeenFile
from taor_sandbox.records import BuildKey, Call

_NOTE = "SELECT note_seen($1, $2, $3, $4, $5, $6, $7)"
_IS_NEWS = "SELECT is_news($1, $2, $3, $4)"


class SeenFiles:
    """Notes what was read, and tells what is new; what a changing call leaves is noted as its row is closed."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def note(self, call: Call, seen: SeenFile) -> None:
        """A read tells the agent this content; without effect once the call's epoch is over."""
        await self._pool.execute(
            _NOTE, *call.key, call.epoch, *call.position, seen.path_sha256, seen.content_sha256
        )  # fmt: skip

    async def is_news(self, key: BuildKey, found: SeenFile) -> bool:
        """Whether the file holds what the agent has not seen, although it has seen the file."""
        news: bool = await self._pool.fetchval(_IS_NEWS, *key, found.path_sha256, found.content_sha256)
        return news
