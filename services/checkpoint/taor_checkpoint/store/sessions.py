"""The rows of the sessions and of the project keys."""

from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from taor_checkpoint.entries import Claim, Session, SessionId

ATTACH = "SELECT outcome, head, epoch FROM attach_build($1, $2, $3, $4, $5, $6)"

SESSION = """
SELECT project_id, epoch, owner, head, body_bytes, create_time
FROM sessions WHERE tenant_id = $1 AND build_id = $2
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


@dataclass(frozen=True, slots=True)
class Attached:
    """An outcome, with the head and the epoch as they stood under the lock."""

    outcome: AttachOutcome
    head: int
    epoch: int


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A project and its key as it is stored."""

    project_id: str
    wrapped_key: bytes


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
        return None if row is None else Session(session_id, *row)

    async def wrapped_key(self, session_id: SessionId) -> WrappedKey | None:
        """The key of the project that a build belongs to."""
        row = await self._pool.fetchrow(WRAPPED_KEY, session_id.tenant_id, session_id.build_id)
        return None if row is None else WrappedKey(*row)
