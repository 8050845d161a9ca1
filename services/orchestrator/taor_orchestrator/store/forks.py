"""The rows of forks: made before anything is copied, and ended once."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from taor_orchestrator.build import Assignment, Clarification
from taor_orchestrator.store.builds import BuildStore, NewBuild, Request, insert
from taor_orchestrator.store.payloads import plain

INSERT_FORK = """
    INSERT INTO forks (build_id, tenant_id, origin_build_id, answer_sequence, head, redo, instruction)
    VALUES ($1, $2, $3, $4, $5, $6, $7)"""
TELL_FORKED = """
    WITH told AS (
        UPDATE builds SET event_sequence = 1 WHERE build_id = $1
        RETURNING build_id, tenant_id, origin_build_id, origin_turn
    )
    INSERT INTO events (build_id, sequence, tenant_id, log_sequence, position, payload)
    SELECT build_id, 1, tenant_id, 0, 0,
           json_build_object('kind', 'forked', 'origin_build_id', origin_build_id, 'turn', origin_turn)::text
    FROM told"""
_COLUMNS = "b.tenant_id, f.build_id, f.origin_build_id, b.project_id, f.answer_sequence, f.head, f.redo"
FORKING = f"""
    SELECT {_COLUMNS} FROM forks f JOIN builds b USING (build_id)
    WHERE b.tenant_id = $1 AND b.build_id = $2 AND b.state = 'FORKING'"""
LEFT_BEHIND = f"""
    SELECT {_COLUMNS} FROM builds b JOIN forks f USING (build_id)
    WHERE b.state = 'FORKING' AND b.created_at < taor_now() - $1::interval ORDER BY b.created_at LIMIT 100"""
ASSIGNMENT = "SELECT brief, clarifications, plan FROM assignments WHERE tenant_id = $1 AND build_id = $2"
TICKET = "SELECT ticket_fork($1, $2, $3, $4)"
FAIL = "SELECT fail_fork($1, $2)"


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """Where a fork begins: after the answer in an entry, with the log up to `head`; whether files may be made again."""

    origin_build_id: str
    answer_sequence: int
    head: int
    redo: bool


@dataclass(frozen=True, slots=True)
class Forking:
    """A fork that has not got everything yet."""

    tenant_id: str
    build_id: str
    project_id: str
    point: ForkPoint


class ForkStore:
    """The builds that are being forked."""

    def __init__(self, pool: asyncpg.Pool, builds: BuildStore) -> None:
        self._pool = pool
        self._builds = builds

    async def begin(self, build: NewBuild, point: ForkPoint, instruction: str, request: Request) -> str:
        """Make the row of a fork under its request, in one transaction; the build that the request stands for."""
        build_id = UUID(build.build_id)
        at = (UUID(point.origin_build_id), point.answer_sequence, point.head, point.redo)
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await insert(connection, build, request)
                await connection.execute(INSERT_FORK, build_id, build.tenant_id, *at, instruction)
                await connection.execute(TELL_FORKED, build_id)
            return build.build_id
        except asyncpg.UniqueViolationError:
            # The same request arrived twice at the same moment: the other one has begun it.
            earlier = await self._builds.find_request(build.tenant_id, request)
            if earlier is None:
                raise
            return earlier

    async def forking(self, tenant_id: str, build_id: str) -> Forking | None:
        """The fork, if it has not got everything yet."""
        row = await self._pool.fetchrow(FORKING, tenant_id, UUID(build_id))
        return None if row is None else _forking(row)

    async def left_behind(self, after_seconds: float) -> Sequence[Forking]:
        """The forks of all tenants that were begun so long ago that whoever began them must be gone."""
        rows = await self._pool.fetch(LEFT_BEHIND, datetime.timedelta(seconds=after_seconds))
        return [_forking(row) for row in rows]

    async def assignment(self, tenant_id: str, build_id: str) -> Assignment:
        """What a build was asked for."""
        row = await self._pool.fetchrow(ASSIGNMENT, tenant_id, UUID(build_id))
        assert row is not None
        answers = tuple(Clarification(*each) for each in orjson.loads(row["clarifications"]))
        return Assignment(row["brief"], answers, row["plan"])

    async def ticket(self, fork: Forking, documents: Sequence[tuple[str, str]]) -> None:
        """Queue the fork with the documentation that it has inherited; nothing happens the second time."""
        sections, contents = [name for name, _ in documents], [plain(content) for _, content in documents]
        await self._pool.execute(TICKET, UUID(fork.build_id), fork.point.head, sections, contents)

    async def fail(self, fork: Forking, message: str) -> None:
        """End a fork that cannot be had."""
        await self._pool.execute(FAIL, UUID(fork.build_id), message)


def _forking(row: asyncpg.Record) -> Forking:
    point = ForkPoint(str(row["origin_build_id"]), row["answer_sequence"], row["head"], row["redo"])
    return Forking(row["tenant_id"], str(row["build_id"]), row["project_id"], point)
