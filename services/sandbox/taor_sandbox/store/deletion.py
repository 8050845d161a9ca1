"""The rows of a project that is deleted."""

from collections.abc import Sequence

import asyncpg

from taor_sandbox.records import BuildKey

_END = "SELECT end_project($1, $2, $3)"
_LEFT = """
SELECT DISTINCT b.build_id FROM builds b JOIN sandboxes s USING (tenant_id, build_id)
WHERE b.tenant_id = $1 AND b.project_id = $2 AND s.state IN ('ORPHAN', 'DESTROYING') LIMIT $3
"""
_DELETE_ROWS = "SELECT delete_project_rows($1, $2, $3)"
_IS_GONE = "SELECT project_is_gone($1, $2)"


class ProjectRows:
    """Gives up what belongs to a project; every step may be repeated."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def end(self, tenant_id: str, project_id: str, most: int) -> Sequence[BuildKey]:
        """Give up the sandboxes of some builds; returns these builds."""
        rows = await self._pool.fetch(_END, tenant_id, project_id, most)
        return [BuildKey(tenant_id, row[0]) for row in rows]

    async def with_doomed(self, tenant_id: str, project_id: str, most: int) -> Sequence[BuildKey]:
        """Some builds whose sandboxes have to go."""
        rows = await self._pool.fetch(_LEFT, tenant_id, project_id, most)
        return [BuildKey(tenant_id, row["build_id"]) for row in rows]

    async def delete_rows(self, tenant_id: str, project_id: str, most: int) -> None:
        """Delete at most so many rows of each kind."""
        await self._pool.execute(_DELETE_ROWS, tenant_id, project_id, most)

    async def is_gone(self, tenant_id: str, project_id: str) -> bool:
        """Whether nothing is left but the fences."""
        gone: bool = await self._pool.fetchval(_IS_GONE, tenant_id, project_id)
        return gone
