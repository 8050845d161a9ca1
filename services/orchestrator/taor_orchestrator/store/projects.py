"""Projects that were deleted, and what was said in them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

DELETE = "SELECT outcome, busy FROM delete_project($1, $2, $3)"
DELETION = "SELECT delete_time, purge_time FROM deleted_projects WHERE tenant_id = $1 AND project_id = $2"
UNFINISHED = """
    SELECT tenant_id, project_id FROM deleted_projects WHERE purge_time IS NULL ORDER BY delete_time LIMIT $1"""
DELETE_CONTENT = "SELECT delete_content($1, $2, $3)"
FINISH = """
    UPDATE deleted_projects SET purge_time = taor_now()
    WHERE tenant_id = $1 AND project_id = $2 AND purge_time IS NULL"""


class DeleteOutcome(StrEnum):
    """What a request for a deletion led to."""

    DELETED = "DELETED"
    NOT_FOUND = "NOT_FOUND"
    REQUEST_ID_CONFLICT = "REQUEST_ID_CONFLICT"
    BUSY = "BUSY"


@dataclass(frozen=True, slots=True)
class ProjectId:
    """Names a project within its tenant."""

    tenant_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far the deletion of a project has come."""

    delete_time: datetime.datetime
    purge_time: datetime.datetime | None


@dataclass(frozen=True, slots=True)
class Requested:
    """The answer to a request for a deletion, with some of the builds that stand in its way."""

    outcome: DeleteOutcome
    busy: Sequence[str]


class ProjectStore:
    """The table of deleted projects."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def delete(self, project: ProjectId, request_id: str) -> Requested:
        """Delete a project whose builds have all ended, in one commit; what was said in it goes later."""
        row = await self._pool.fetchrow(DELETE, project.tenant_id, project.project_id, request_id)
        assert row is not None
        return Requested(DeleteOutcome(row["outcome"]), [str(build_id) for build_id in row["busy"] or ()])

    async def deletion(self, project: ProjectId) -> Deletion | None:
        """How far the deletion has come; None for a project that was not deleted."""
        row = await self._pool.fetchrow(DELETION, project.tenant_id, project.project_id)
        return None if row is None else Deletion(row["delete_time"], row["purge_time"])

    async def unfinished(self, most: int) -> Sequence[ProjectId]:
        """Projects whose deletion goes on, the oldest first."""
        return [ProjectId(*row) for row in await self._pool.fetch(UNFINISHED, most)]

    async def delete_content(self, project: ProjectId, most: int) -> bool:
        """Delete at most so many rows of each kind of what was said in a deleted project; whether nothing was left."""
        nothing_left: bool = await self._pool.fetchval(DELETE_CONTENT, project.tenant_id, project.project_id, most)
        return nothing_left

    async def finish(self, project: ProjectId) -> None:
        """Note that nothing is left of a project in any service."""
        await self._pool.execute(FINISH, project.tenant_id, project.project_id)
