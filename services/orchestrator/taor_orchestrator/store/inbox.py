"""What people tell builds: texts for the inbox, a pause, and its end; each request once."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from taor_chassis.errors import ServiceError
from taor_orchestrator.errors import BuildEnded, InboxFull, NoOpenQuestion
from taor_orchestrator.inbox import TextKind
from taor_orchestrator.store.builds import KEEP_REQUEST, BuildStore, Request

SEND = "SELECT send_to_build($1, $2, $3, $4, $5, $6)"
PAUSE = "SELECT pause_build($1, $2)"
QUESTION = """
    SELECT e.payload FROM builds b JOIN events e ON e.build_id = b.build_id AND e.log_sequence = b.question_sequence
    WHERE b.tenant_id = $1 AND b.build_id = $2 AND b.question_sequence > 0 AND e.payload LIKE '{"kind":"escalated",%'
      AND NOT EXISTS (
          SELECT FROM inbox i WHERE i.build_id = b.build_id AND i.log_sequence = 0 AND i.kind = 'ANSWER')"""
RESUME = "SELECT resume_build($1, $2)"

MAX_UNREAD = 64
"""How many texts may wait for a build; an answer is let in even then."""

_REFUSALS: Mapping[str, tuple[type[ServiceError], str]] = {
    "BUILD_ENDED": (BuildEnded, "the build has ended, or is being cancelled; nothing can be told to it any more"),
    "NO_OPEN_QUESTION": (NoOpenQuestion, "the build has no open question; SteerBuild tells it something all the same"),
    "INBOX_FULL": (InboxFull, f"{MAX_UNREAD} texts wait for the build already; send more when it has read them"),
}


class InboxStore:
    """Raises `BuildEnded`, `NoOpenQuestion`, `InboxFull`, or `RequestIdConflict` where a request cannot be taken."""

    def __init__(self, pool: asyncpg.Pool, builds: BuildStore) -> None:
        self._pool = pool
        self._builds = builds

    async def send(
        self, tenant_id: str, build_id: str, inbox_id: str, kind: TextKind, text: str, request: Request
    ) -> None:
        """Put a text into the inbox of a build; an answer also wakes it."""
        await self._once(tenant_id, build_id, request, SEND, UUID(inbox_id), kind.value, text, MAX_UNREAD)

    async def question(self, tenant_id: str, build_id: str) -> str | None:
        """The payload of the event that tells the open question; None when there is none, or it is answered."""
        payload = await self._pool.fetchval(QUESTION, tenant_id, UUID(build_id))
        return None if payload is None else str(payload)

    async def pause(self, tenant_id: str, build_id: str, request: Request) -> None:
        """Pause a build, at once when nobody works on it."""
        await self._once(tenant_id, build_id, request, PAUSE)

    async def resume(self, tenant_id: str, build_id: str, request: Request) -> None:
        """End the pause of a build."""
        await self._once(tenant_id, build_id, request, RESUME)

    async def _once(self, tenant_id: str, build_id: str, request: Request, statement: str, *more: object) -> None:
        """Do it unless it was done for this request before; what is refused leaves no trace of the request."""
        async with self._pool.acquire() as connection, connection.transaction():
            kept = await connection.fetchval(
                KEEP_REQUEST, tenant_id, request.method, request.request_id, request.sha256, UUID(build_id)
            )
            if kept:
                outcome = await connection.fetchval(statement, tenant_id, UUID(build_id), *more)
                if outcome in _REFUSALS:
                    refusal, message = _REFUSALS[outcome]
                    raise refusal(message, build_id=build_id)
        await self._builds.find_request(tenant_id, request)
