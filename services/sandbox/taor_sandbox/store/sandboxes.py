"""The rows of sandboxes: one per generation, from the announcement to the certain end."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from taor_sandbox.records import BuildKey

_CREATED = """
UPDATE sandboxes SET provider_id = $4, boot_id = $5, changed_at = taor_now()
WHERE tenant_id = $1 AND build_id = $2 AND generation = $3 AND state = 'CREATING' RETURNING true
"""
_LIVE = """
UPDATE sandboxes SET state = 'LIVE', changed_at = taor_now()
WHERE tenant_id = $1 AND build_id = $2 AND generation = $3 AND state = 'CREATING' RETURNING true
"""
_DOOMED = """
SELECT tenant_id, build_id, generation, state, provider_id FROM sandboxes
WHERE tenant_id = $1 AND build_id = $2 AND state IN ('ORPHAN', 'DESTROYING') ORDER BY generation LIMIT 100
"""
_DOOMED_OF_TENANT = """
SELECT tenant_id, build_id, generation, state, provider_id FROM sandboxes
WHERE tenant_id = $1 AND state IN ('ORPHAN', 'DESTROYING') ORDER BY build_id, generation LIMIT $2
"""
_DESTROYING = """
UPDATE sandboxes SET state = 'DESTROYING', changed_at = taor_now()
WHERE tenant_id = $1 AND build_id = $2 AND generation = $3 AND state IN ('ORPHAN', 'DESTROYING') RETURNING true
"""
_GONE = """
UPDATE sandboxes SET state = 'GONE', changed_at = taor_now()
WHERE tenant_id = $1 AND build_id = $2 AND generation = $3 AND state = 'DESTROYING'
"""
_ABANDON_CREATING = """
UPDATE sandboxes SET state = 'ORPHAN', changed_at = taor_now()
WHERE tenant_id = $1 AND state = 'CREATING' AND changed_at < taor_now() - interval '10 minutes'
"""
_RETURNED = """
SELECT build_id || '/' || generation AS sandbox_key FROM sandboxes
WHERE tenant_id = $1 AND state = 'GONE' AND (build_id, generation) IN (SELECT * FROM unnest($2::text[], $3::bigint[]))
"""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A sandbox that has to go."""

    key: BuildKey
    generation: int
    provider_id: str | None
    """None: the provider may have made it without our knowing; it is found by its key."""

    @property
    def sandbox_key(self) -> str:
        """The name under which the provider knows it."""
        return f"{self.key.build_id}/{self.generation}"


class Sandboxes:
    """Reads and changes the rows of sandboxes; every change compares the state it starts from."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def created(self, key: BuildKey, generation: int, provider_id: str, boot_id: str) -> bool:
        """Note what the provider made; False when nobody wants it any more, so it must be destroyed."""
        return await self._pool.fetchval(_CREATED, *key, generation, provider_id, boot_id) is True

    async def live(self, key: BuildKey, generation: int) -> bool:
        """Note that its files are complete; False when nobody wants it any more."""
        return await self._pool.fetchval(_LIVE, *key, generation) is True

    async def doomed(self, key: BuildKey) -> Sequence[Doomed]:
        """The sandboxes of a build that have to go."""
        return [_doomed(row) for row in await self._pool.fetch(_DOOMED, *key)]

    async def doomed_of_tenant(self, tenant_id: str, most: int) -> Sequence[Doomed]:
        """The sandboxes of a tenant that have to go."""
        return [_doomed(row) for row in await self._pool.fetch(_DOOMED_OF_TENANT, tenant_id, most)]

    async def destroying(self, doomed: Doomed) -> bool:
        """Note that its destruction begins."""
        return await self._pool.fetchval(_DESTROYING, *doomed.key, doomed.generation) is True

    async def gone(self, doomed: Doomed) -> None:
        """Note that nothing of it is left."""
        await self._pool.execute(_GONE, *doomed.key, doomed.generation)

    async def abandon_creating(self, tenant_id: str) -> None:
        """Give up sandboxes whose maker must be dead; one that is not finds out when it records what it made."""
        await self._pool.execute(_ABANDON_CREATING, tenant_id)

    async def returned(self, tenant_id: str, sandbox_keys: Sequence[str]) -> set[str]:
        """Which of these the provider has although they are GONE: their maker made them after they were given up."""
        pairs = [key.rpartition("/") for key in sandbox_keys]
        ours = [(build_id, int(generation)) for build_id, _, generation in pairs if generation.isdecimal()]
        rows = await self._pool.fetch(_RETURNED, tenant_id, [each[0] for each in ours], [each[1] for each in ours])
        return {row["sandbox_key"] for row in rows}


def _doomed(row: asyncpg.Record) -> Doomed:
    return Doomed(BuildKey(row["tenant_id"], row["build_id"]), row["generation"], row["provider_id"])
