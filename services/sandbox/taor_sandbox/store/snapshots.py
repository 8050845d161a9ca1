"""The rows of snapshots: announced, published, retired."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import asyncpg

from taor_sandbox.manifest import Manifest
from taor_sandbox.records import Build, BuildKey, Position, Snapshot

_COLUMNS = """snapshot_id, generation, covers_sequence, covers_block, covers_op_id, tree_sha256, manifest_sha256,
       file_count, file_bytes, published_at"""
_COVERED = "SELECT * FROM covered_operation($1, $2)"
# The shared lock keeps a collection of blobs from running between this row and the storing of what it names. What is
# there already was looked for before: the row of the snapshot that names it too has protected it until now.
_ANNOUNCE = """
WITH collection AS (SELECT pg_advisory_xact_lock_shared(hashtextextended('taor_sandbox blobs ' || $1, 0)))
INSERT INTO snapshots (tenant_id, build_id, snapshot_id, state, generation, covers_sequence, covers_block, covers_op_id,
                       tree_sha256, manifest_sha256, blobs, file_count, file_bytes)
SELECT $1, $2, $3, 'PENDING', $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM collection
WHERE $13::text IS NULL OR EXISTS (
    SELECT FROM snapshots WHERE tenant_id = $1 AND build_id = $2 AND snapshot_id = $13 AND state = 'PUBLISHED')
RETURNING true
"""
_PUBLISH = f"SELECT {_COLUMNS} FROM publish_snapshot($1, $2, $3, $4, $5, $6)"
# What a fork has inherited cannot be had in any other way: it is tried again, rather than begun without files.
_MARK_BAD = """
UPDATE snapshots SET state = 'BAD'
WHERE tenant_id = $1 AND build_id = $2 AND snapshot_id = $3 AND generation > 0
"""
_MARK_FAILED = """
UPDATE snapshots SET state = 'FAILED', blobs = '{}'
WHERE tenant_id = $1 AND build_id = $2 AND snapshot_id = $3 AND state = 'PENDING'
"""
_FAILED = """
SELECT count(*) FROM snapshots WHERE tenant_id = $1 AND build_id = $2 AND state = 'FAILED' AND created_at > coalesce(
    (SELECT max(created_at) FROM snapshots WHERE tenant_id = $1 AND build_id = $2 AND state = 'PUBLISHED'), '-infinity')
"""
_DELETE = """
UPDATE snapshots SET state = 'DELETED', blobs = '{}'
WHERE tenant_id = $1 AND build_id = $2 AND snapshot_id = ANY($3::text[])
"""
_NEWEST = f"""
SELECT {_COLUMNS} FROM snapshots WHERE tenant_id = $1 AND build_id = $2 AND state = 'PUBLISHED'
ORDER BY covers_sequence DESC, covers_block DESC, published_at DESC LIMIT $3
"""
_GET = f"SELECT {_COLUMNS} FROM snapshots WHERE tenant_id = $1 AND build_id = $2 AND snapshot_id = $3"
_NEXT = """
SELECT s.snapshot_id, n.log_sequence
FROM unnest($3::text[]) AS wanted (snapshot_id)
JOIN snapshots s ON s.tenant_id = $1 AND s.build_id = $2 AND s.snapshot_id = wanted.snapshot_id
CROSS JOIN LATERAL (
    SELECT o.log_sequence FROM operations o
    WHERE o.tenant_id = $1 AND o.build_id = $2 AND (o.log_sequence, o.block) > (s.covers_sequence, s.covers_block)
    ORDER BY o.log_sequence, o.block LIMIT 1) AS n
"""
_FIRST = """
SELECT coalesce(min(log_sequence), 0) FROM operations WHERE tenant_id = $1 AND build_id = $2
"""
_LOCK_COLLECTION = "SELECT pg_advisory_xact_lock(hashtextextended('taor_sandbox blobs ' || $1, 0))"
# BAD ones keep their blobs: a person may yet find out what went wrong.
_UNUSED = """
SELECT unnest($2::bytea[]) AS candidate
EXCEPT SELECT unnest(blobs) FROM snapshots WHERE tenant_id = $1 AND state IN ('PENDING', 'PUBLISHED', 'BAD')
"""
_ABANDON_PENDING = """
UPDATE snapshots SET state = 'DELETED', blobs = '{}'
WHERE tenant_id = $1 AND state = 'PENDING' AND created_at < taor_now() - interval '1 hour'
"""


@dataclass(frozen=True, slots=True)
class Covered:
    """The last operation with every one up to it closed."""

    position: Position
    op_id: str


class Snapshots:
    """Reads and changes the rows of snapshots."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def covered(self, key: BuildKey) -> Covered:
        """What a walk of the files covers now."""
        row = await self._pool.fetchrow(_COVERED, *key)
        assert row is not None
        return Covered(Position(row["covers_sequence"], row["covers_block"]), row["covers_op_id"])

    async def announce(
        self, build: Build, snapshot_id: str, covered: Covered, manifest: Manifest, encoded: bytes, after: str | None
    ) -> bool:
        """The PENDING row: from here on no collection takes the blobs that it names.

        False when the snapshot whose blobs it goes on using, `after`, is not published any more.
        """
        manifest_sha256 = sha256(encoded).digest()
        hashes = [manifest_sha256, *map(bytes.fromhex, manifest.objects)]
        announced = await self._pool.fetchval(
            _ANNOUNCE, *build.key, snapshot_id, build.generation, *covered.position, covered.op_id,
            manifest.tree_sha256, manifest_sha256, hashes, manifest.file_count, manifest.file_bytes, after,
        )  # fmt: skip
        return announced is not None

    async def publish(self, build: Build, snapshot_id: str, superfluous: Sequence[str] = ()) -> Snapshot | None:
        """Make it the one to restore from, and let go of others; None when generation or epoch is not current any more.

        What a restore reads or may read again stays, and what a fork began with."""
        key, epoch = build.key, build.fence.epoch
        row = await self._pool.fetchrow(_PUBLISH, *key, epoch, build.generation, snapshot_id, superfluous)
        return None if row is None else _snapshot(row)

    async def mark_bad(self, key: BuildKey, snapshot_id: str) -> None:
        """Never restore from it again."""
        await self._pool.execute(_MARK_BAD, *key, snapshot_id)

    async def mark_failed(self, key: BuildKey, snapshot_id: str) -> None:
        """Its contents could not be stored; what was stored of them goes with the next collection."""
        await self._pool.execute(_MARK_FAILED, *key, snapshot_id)

    async def failed(self, key: BuildKey) -> int:
        """How many could not be stored since the newest good one was begun."""
        count: int = await self._pool.fetchval(_FAILED, *key)
        return count

    async def delete(self, key: BuildKey, snapshot_ids: Sequence[str]) -> None:
        """Let go of snapshots; their blobs go with the next collection."""
        await self._pool.execute(_DELETE, *key, snapshot_ids)

    async def newest(self, key: BuildKey) -> Snapshot | None:
        """The published one that covers the most."""
        found = await self.list(key, 1)
        return found[0] if found else None

    async def list(self, key: BuildKey, most: int) -> Sequence[Snapshot]:
        """The published ones, newest first."""
        return [_snapshot(row) for row in await self._pool.fetch(_NEWEST, *key, most)]

    async def next_sequences(self, key: BuildKey, listed: Sequence[Snapshot]) -> dict[str, int]:
        """For each snapshot that does not cover the last operation, the log entry of the first one after it."""
        rows = await self._pool.fetch(_NEXT, *key, [each.snapshot_id for each in listed])
        return {row["snapshot_id"]: row["log_sequence"] for row in rows}

    async def first_sequence(self, key: BuildKey) -> int:
        """The log entry of the first operation; 0 when there is none."""
        sequence: int = await self._pool.fetchval(_FIRST, *key)
        return sequence

    async def get(self, key: BuildKey, snapshot_id: str) -> Snapshot | None:
        """One snapshot, in whatever state."""
        row = await self._pool.fetchrow(_GET, *key, snapshot_id)
        return None if row is None else _snapshot(row)

    async def abandon_pending(self, tenant_id: str) -> None:
        """Give up announcements whose maker must be dead."""
        await self._pool.execute(_ABANDON_PENDING, tenant_id)

    def collection(self, tenant_id: str) -> "Collection":
        """The right to delete blobs of a tenant: while it is held, no snapshot is announced."""
        return Collection(self._pool, tenant_id)


class Collection:
    """One transaction in which blobs that nobody names are found and deleted; use it with `async with`."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str) -> None:
        self._pool, self._tenant_id = pool, tenant_id

    async def __aenter__(self) -> "Collection":
        self._connection = await self._pool.acquire()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute(_LOCK_COLLECTION, self._tenant_id)
        return self

    async def unused(self, hashes: Sequence[str]) -> list[str]:
        """Which of these no snapshot names."""
        rows = await self._connection.fetch(_UNUSED, self._tenant_id, [bytes.fromhex(each) for each in hashes])
        return [row["candidate"].hex() for row in rows]

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self._transaction.rollback()  # nothing was written: the lock is all there was
        finally:
            await self._pool.release(self._connection)


def _snapshot(row: asyncpg.Record) -> Snapshot:
    return Snapshot(
        snapshot_id=row["snapshot_id"],
        generation=row["generation"],
        covers=Position(row["covers_sequence"], row["covers_block"]),
        covers_op_id=row["covers_op_id"],
        tree_sha256=row["tree_sha256"],
        manifest_sha256=row["manifest_sha256"],
        file_count=row["file_count"],
        file_bytes=row["file_bytes"],
        published_at=row["published_at"],
    )
