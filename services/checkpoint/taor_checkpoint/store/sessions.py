"""The rows of the sessions and of the project keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from taor_checkpoint.entries import Claim, Session, SessionId

ATTACH = "SELECT outcome, head, epoch FROM attach_build($1, $2, $3, $4, $5, $6)"

_SESSIONS = """
SELECT s.build_id, s.project_id, s.epoch, s.head, s.segment, s.body_bytes, s.create_time, e.append_time, s.close_time,
       least(s.delete_time, k.delete_time), s.purge_time, k.delete_time IS NOT NULL
FROM sessions s
JOIN project_keys k USING (tenant_id, project_id)
LEFT JOIN entries e ON e.tenant_id = s.tenant_id AND e.build_id = s.build_id AND e.sequence = s.head
"""
SESSION = f"{_SESSIONS} WHERE s.tenant_id = $1 AND s.build_id = $2"
# Before a build: they are listed from the newest, and ids sort by the time of their making.
LIST = f"{_SESSIONS} WHERE s.tenant_id = $1 AND ($2 = '' OR s.build_id < $2) ORDER BY s.build_id DESC LIMIT $3"
LIST_OF_PROJECT = f"""
{_SESSIONS} WHERE s.tenant_id = $1 AND s.project_id = $4 AND ($2 = '' OR s.build_id < $2)
ORDER BY s.build_id DESC LIMIT $3
"""

WRAPPED_KEY = """
SELECT k.project_id, k.wrapped_key
FROM sessions s JOIN project_keys k USING (tenant_id, project_id)
WHERE s.tenant_id = $1 AND s.build_id = $2
"""


class AttachOutcome(StrEnum):
    """What an attach led to."""

    DONE = "DONE"
    STALE_EPOCH = "STALE_EPOCH"
    PROJECT_MISMATCH = "PROJECT_MISMATCH"
    PROJECT_DELETED = "PROJECT_DELETED"
    LOG_EXPIRED = "LOG_EXPIRED"


@dataclass(frozen=True, slots=True)
class Attached:
    """An outcome, with the head and the epoch as they stood under the lock."""

    outcome: AttachOutcome
    head: int
    epoch: int


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A project and its key as it is stored; None after its deletion."""

    project_id: str
    wrapped_key: bytes | None


class SessionStore:
    """Raises fences and tells them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def attach(self, claim: Claim, new_key: bytes) -> Attached:
        """Raise the fence of a build to a claim; `new_key` becomes the project's key if it has none."""
        build = claim.session_id
        row = await self._pool.fetchrow(
            ATTACH, build.tenant_id, build.build_id, claim.project_id, claim.epoch, claim.owner, new_key
        )
        assert row is not None
        return Attached(AttachOutcome(row["outcome"]), row["head"], row["epoch"])

    async def session(self, session_id: SessionId) -> Session | None:
        """The fence and the head of a log."""
        row = await self._pool.fetchrow(SESSION, session_id.tenant_id, session_id.build_id)
        return None if row is None else _session_of(session_id.tenant_id, row)

    async def list(self, tenant_id: str, project_id: str, before: str, most: int) -> Sequence[Session]:
        """The sessions of builds older than `before`, newest first; an empty project or build stands for all."""
        if project_id:
            rows = await self._pool.fetch(LIST_OF_PROJECT, tenant_id, before, most, project_id)
        else:
            rows = await self._pool.fetch(LIST, tenant_id, before, most)
        return [_session_of(tenant_id, row) for row in rows]

    async def wrapped_key(self, session_id: SessionId) -> WrappedKey | None:
        """The key of the project that a build belongs to."""
        row = await self._pool.fetchrow(WRAPPED_KEY, session_id.tenant_id, session_id.build_id)
        return None if row is None else WrappedKey(*row)


def _session_of(tenant_id: str, row: asyncpg.Record) -> Session:
    build_id, *rest = row
    return Session(SessionId(tenant_id, build_id), *rest)
