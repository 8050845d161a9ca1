"""Builds as their clients see them: start, read, list, cancel."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from taor_orchestrator.build import Assignment, BuildState
from taor_orchestrator.errors import ProjectDeleted, RequestIdConflict

FIND_REQUEST = "SELECT build_id, request_hash FROM requests WHERE tenant_id = $1 AND method = $2 AND request_id = $3"
INSERT_REQUEST = "INSERT INTO requests (tenant_id, method, request_id, request_hash, build_id) VALUES ($1,$2,$3,$4,$5)"
KEEP_REQUEST = f"{INSERT_REQUEST} ON CONFLICT DO NOTHING RETURNING true"
INSERT_BUILD = """
    INSERT INTO builds (build_id, tenant_id, user_id, project_id, tier, model, max_output_tokens,
                        max_concurrent_builds, priority, origin_build_id, origin_turn, state, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $10::uuid IS NULL THEN 'QUEUED' ELSE 'FORKING' END,
            CASE WHEN $10::uuid IS NULL THEN taor_now() END)"""
INSERT_ASSIGNMENT = """
    INSERT INTO assignments (build_id, tenant_id, brief, clarifications, plan) VALUES ($1, $2, $3, $4, $5)"""
HOLD_PROJECT = "SELECT hold_project($1, $2)"
ANNOUNCE = "SELECT pg_notify('taor_builds', 'due')"
_COLUMNS = """build_id, project_id, user_id, tier, model, state, outcome_message, turns, tool_calls,
    spent_microdollars, preview_port, event_sequence, created_at, ended_at, wake_at, epoch, wake_generation,
    projected_sequence, origin_build_id, origin_turn"""
GET = f"SELECT {_COLUMNS} FROM builds WHERE tenant_id = $1 AND build_id = $2"
LIST = f"""
    SELECT {_COLUMNS} FROM builds b
    WHERE tenant_id = $1 AND ($2 = '' OR user_id = $2) AND ($3 = '' OR project_id = $3) AND build_id < $4
      AND NOT EXISTS (SELECT FROM deleted_projects d WHERE (d.tenant_id, d.project_id) = (b.tenant_id, b.project_id))
    ORDER BY build_id DESC LIMIT $5"""
DOCUMENTS = "SELECT section, content FROM documents WHERE tenant_id = $1 AND build_id = $2 ORDER BY section LIMIT 10"
WAKE = "SELECT wake_build(build_id, $3) FROM builds WHERE tenant_id = $1 AND build_id = $2"
CANCEL = "SELECT cancel_build($1, $2, $3)"
INBOX = """
    SELECT inbox_id, kind, log_sequence, created_at FROM inbox
    WHERE tenant_id = $1 AND build_id = $2 ORDER BY created_at LIMIT 1000"""

LAST_ID = UUID(int=2**128 - 1)

Connection = asyncpg.Connection | PoolConnectionProxy


@dataclass(frozen=True, slots=True)
class NewBuild:
    """A build that was admitted and is to be queued."""

    build_id: str
    tenant_id: str
    user_id: str
    project_id: str
    tier: str
    model: str
    max_output_tokens: int
    max_concurrent_builds: int
    priority: int
    assignment: Assignment
    origin_build_id: str | None = None
    """The build that it is forked from: then it is FORKING, not queued yet."""
    origin_turn: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A mutation under its caller's own id, with the hash of what was asked for."""

    method: str
    request_id: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredBuild:
    """A build's row."""

    build_id: str
    project_id: str
    user_id: str
    tier: str
    model: str
    state: BuildState
    outcome_message: str
    turns: int
    tool_calls: int
    spent_microdollars: int
    preview_port: int
    event_sequence: int
    created_at: datetime.datetime
    ended_at: datetime.datetime | None
    wake_at: datetime.datetime | None
    epoch: int
    wake_generation: int
    projected_sequence: int
    origin_build_id: str | None
    origin_turn: int


@dataclass(frozen=True, slots=True)
class StoredItem:
    """Something that was sent to a build."""

    inbox_id: str
    kind: str
    log_sequence: int
    created_at: datetime.datetime


class BuildStore:
    """The table of builds, for one tenant at a time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def find_request(self, tenant_id: str, request: Request) -> str | None:
        """The build that this request started before; raises `RequestIdConflict` when it was another request."""
        row = await self._pool.fetchrow(FIND_REQUEST, tenant_id, request.method, request.request_id)
        if row is None:
            return None
        if row["request_hash"] != request.sha256:
            raise RequestIdConflict("this request_id stands for another request; use a new one", id=request.request_id)
        return str(row["build_id"])

    async def start(self, build: NewBuild, request: Request) -> str:
        """Queue the build under its request, in one transaction; the id of the build that the request stands for.

        Raises `ProjectDeleted` and `RequestIdConflict`.
        """
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await insert(connection, build, request)
            return build.build_id
        except asyncpg.UniqueViolationError:
            # The same request arrived twice at the same moment: the other one has started it.
            earlier = await self.find_request(build.tenant_id, request)
            if earlier is None:
                raise
            return earlier

    async def get(self, tenant_id: str, build_id: str) -> StoredBuild | None:
        """One build."""
        row = await self._pool.fetchrow(GET, tenant_id, UUID(build_id))
        return None if row is None else _build(row)

    async def list(
        self, tenant_id: str, user_id: str, project_id: str, before: UUID, limit: int
    ) -> Sequence[StoredBuild]:
        """Builds older than `before`, newest first; an empty user or project stands for all."""
        rows = await self._pool.fetch(LIST, tenant_id, user_id, project_id, before, limit)
        return [_build(row) for row in rows]

    async def documents(self, tenant_id: str, build_id: str) -> Sequence[tuple[str, str]]:
        """The sections of documentation, each with its content."""
        rows = await self._pool.fetch(DOCUMENTS, tenant_id, UUID(build_id))
        return [(row["section"], row["content"]) for row in rows]

    async def cancel(self, tenant_id: str, build_id: str, inbox_id: str, request: Request) -> None:
        """Send the build its cancellation, unless it has one or has ended; raises `RequestIdConflict`."""
        await self._once(tenant_id, build_id, request, CANCEL, tenant_id, UUID(build_id), UUID(inbox_id))

    async def wake(self, tenant_id: str, build_id: str, reason: str, request: Request) -> None:
        """Raise the build's wake generation, and queue it when it rests; raises `RequestIdConflict`."""
        await self._once(tenant_id, build_id, request, WAKE, tenant_id, UUID(build_id), reason)

    async def _once(self, tenant_id: str, build_id: str, request: Request, statement: str, *arguments: object) -> None:
        """Do what a request asks of a build, unless its id stands for a request already."""
        async with self._pool.acquire() as connection, connection.transaction():
            kept = await connection.fetchval(
                KEEP_REQUEST, tenant_id, request.method, request.request_id, request.sha256, UUID(build_id)
            )
            if kept:
                await connection.execute(statement, *arguments)
        await self.find_request(tenant_id, request)

    async def inbox(self, tenant_id: str, build_id: str) -> Sequence[StoredItem]:
        """What was sent to the build."""
        rows = await self._pool.fetch(INBOX, tenant_id, UUID(build_id))
        return [StoredItem(str(r["inbox_id"]), r["kind"], r["log_sequence"], r["created_at"]) for r in rows]


async def insert(connection: Connection, build: NewBuild, request: Request) -> None:
    """The rows of a new build, in the caller's transaction."""
    build_id, assignment = UUID(build.build_id), build.assignment
    if not await connection.fetchval(HOLD_PROJECT, build.tenant_id, build.project_id):
        raise ProjectDeleted(build.project_id)
    await connection.execute(
        INSERT_BUILD,
        build_id,
        build.tenant_id,
        build.user_id,
        build.project_id,
        build.tier,
        build.model,
        build.max_output_tokens,
        build.max_concurrent_builds,
        build.priority,
        None if build.origin_build_id is None else UUID(build.origin_build_id),
        build.origin_turn,
    )
    clarifications = orjson.dumps([[each.question, each.answer] for each in assignment.clarifications]).decode()
    await connection.execute(
        INSERT_ASSIGNMENT, build_id, build.tenant_id, assignment.brief, clarifications, assignment.plan
    )
    await connection.execute(
        INSERT_REQUEST, build.tenant_id, request.method, request.request_id, request.sha256, build_id
    )
    await connection.execute(ANNOUNCE)


def _build(row: asyncpg.Record) -> StoredBuild:
    fields = dict(row.items())
    origin = None if row["origin_build_id"] is None else str(row["origin_build_id"])
    known = {"build_id": str(row["build_id"]), "state": BuildState(row["state"]), "origin_build_id": origin}
    return StoredBuild(**(fields | known))
