"""Logs that go: given up, then deleted a bounded number of rows at a time."""

from datetime import timedelta

import asyncpg

from taor_checkpoint.entries import Deletion

SHRED = "SELECT shred_project($1, $2)"
DELETION = "SELECT delete_time, purge_time FROM project_keys WHERE tenant_id = $1 AND project_id = $2"
GIVE_UP_DELETED = "SELECT give_up_deleted($1)"
GIVE_UP_EXPIRED = "SELECT give_up_expired($1, $2)"
PURGE_SOME = "SELECT purge_some($1, $2)"
FINISH = "SELECT finish_deletions($1)"


class DeletionStore:
    """Destroys keys and deletes rows; every step may be repeated, by any process."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def shred(self, tenant_id: str, project_id: str) -> Deletion:
        """Destroy the key of a project; the same again changes nothing."""
        await self._pool.execute(SHRED, tenant_id, project_id)
        row = await self._pool.fetchrow(DELETION, tenant_id, project_id)
        assert row is not None
        return Deletion(row["delete_time"], row["purge_time"])

    async def give_up_deleted(self, most: int) -> int:
        """Give up logs of deleted projects; returns how many."""
        return int(await self._pool.fetchval(GIVE_UP_DELETED, most))

    async def give_up_expired(self, age: timedelta, most: int) -> int:
        """Give up logs that were closed at least `age` ago; returns how many."""
        return int(await self._pool.fetchval(GIVE_UP_EXPIRED, age, most))

    async def purge_some(self, most: int, max_bytes: int) -> bool:
        """Delete rows of one log that was given up; False when there is none that nobody else is at."""
        return await self._pool.fetchval(PURGE_SOME, most, max_bytes) is not None

    async def finish(self, most: int) -> int:
        """Note of deleted projects that nothing is left; returns of how many."""
        return int(await self._pool.fetchval(FINISH, most))
