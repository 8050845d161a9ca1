"""The rows of forks: copied within the database, in one commit."""

from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from taor_checkpoint.entries import Fork
from taor_checkpoint.envelope import SEAL_BYTES

FORK = "SELECT outcome, head FROM fork_session($1, $2, $3, $4, $5, $6)"


class ForkOutcome(StrEnum):
    """What a fork led to."""

    DONE = "DONE"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    PROJECT_MISMATCH = "PROJECT_MISMATCH"
    FORK_POINT_INVALID = "FORK_POINT_INVALID"
    FORK_CONFLICT = "FORK_CONFLICT"


@dataclass(frozen=True, slots=True)
class Forked:
    """An outcome, with the head that the fork begins with, or the one of the origin that does not reach there."""

    outcome: ForkOutcome
    head: int


class ForkStore:
    """Makes sessions out of the beginnings of others."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def make(self, fork: Fork) -> Forked:
        """Copy what the fork inherits, or find it there."""
        build = fork.session_id
        row = await self._pool.fetchrow(
            FORK, build.tenant_id, build.build_id, fork.origin_build_id, fork.project_id, fork.head, SEAL_BYTES
        )
        assert row is not None
        return Forked(ForkOutcome(row["outcome"]), row["head"] or 0)
