"""The rows of forks, and which files a moment of a build has."""

import enum

import asyncpg

from taor_sandbox.records import BuildKey, Moment, Snapshot
from taor_sandbox.store.snapshots import Snapshots

_PIN = "SELECT pin_snapshot($1, $2, $3, $4, $5, $6)"
_FILES_AT = "SELECT kind, snapshot_id FROM files_at($1, $2, $3)"
_INHERITED = """
SELECT snapshot_id FROM snapshots WHERE tenant_id = $1 AND build_id = $2 AND generation = 0 AND state = 'PUBLISHED'
"""
_PROJECT = "SELECT project_id FROM builds WHERE tenant_id = $1 AND build_id = $2"


class PinVerdict(enum.Enum):
    """Whether a fork has its files."""

    PINNED = "PINNED"
    NO_SNAPSHOT = "NO_SNAPSHOT"
    PROJECT_MISMATCH = "PROJECT_MISMATCH"
    CONFLICT = "CONFLICT"


class FilesKind(enum.Enum):
    """What is known of the files of a moment."""

    SNAPSHOT = "SNAPSHOT"
    EMPTY = "EMPTY"
    NONE = "NONE"


class ForkRows:
    """Makes the rows of forks, and finds moments."""

    def __init__(self, pool: asyncpg.Pool, snapshots: Snapshots) -> None:
        self._pool = pool
        self._snapshots = snapshots

    async def pin(self, key: BuildKey, project_id: str, origin: Moment, *, redo: bool) -> PinVerdict:
        """Make the row of a fork with the files of a moment, in one commit; `redo`: or with what leads to them."""
        assert origin.key.tenant_id == key.tenant_id
        verdict = await self._pool.fetchval(_PIN, *key, origin.key.build_id, project_id, origin.log_sequence, redo)
        return PinVerdict(verdict)

    async def files_at(self, moment: Moment) -> tuple[FilesKind, Snapshot | None]:
        """The snapshot of exactly a moment, if there is one."""
        row = await self._pool.fetchrow(_FILES_AT, *moment.key, moment.log_sequence)
        assert row is not None
        if row["snapshot_id"] is None:
            return FilesKind(row["kind"]), None
        snapshot = await self._snapshots.get(moment.key, row["snapshot_id"])
        return FilesKind(row["kind"]), snapshot

    async def inherited(self, key: BuildKey) -> Snapshot | None:
        """The snapshot that a fork begins with."""
        snapshot_id = await self._pool.fetchval(_INHERITED, *key)
        return None if snapshot_id is None else await self._snapshots.get(key, snapshot_id)

    async def project(self, key: BuildKey) -> str | None:
        """The project of a build; None where it never had a sandbox."""
        project_id: str | None = await self._pool.fetchval(_PROJECT, *key)
        return project_id
