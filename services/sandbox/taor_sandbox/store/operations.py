"""The rows of operations: announced before the start, closed once."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from taor_sandbox.outcome import Failure, FailureCode, Outcome
from taor_sandbox.records import Build, BuildKey, Call, DoneOperation, Operation, OperationState, Position
from taor_sandbox.tools.inputs import Mutating, canonical, digest, parse

_BEGIN = "SELECT * FROM begin_operation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
# In one commit with what the call has left: an edit that is sent again must find what it found before.
_RECORD = """
SELECT verdict, CASE WHEN verdict = 'RECORDED' AND $14::bytea IS NOT NULL THEN note_left($1, $2, $4, $14, $15) END
FROM record_operation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) verdict
"""
_RECORD_REDONE = """
SELECT redone, CASE WHEN redone AND $8::bytea IS NOT NULL THEN note_left_again($1, $2, $6, $8, $9) END
FROM record_redone($1, $2, $3, $4, $5, $6, $7) redone
"""
_RECORD_LOST = "SELECT record_lost($1, $2, $3, $4, $5)"
_OUTCOME_COLUMNS = "result_text, failure_code, failure_message, exit_status, elapsed_seconds, cwd"
_ROW_COLUMNS = "op_id, log_sequence, block, generation, state, tool, text_sha256, claims, started_at, closed_at"
_OUTCOME = f"""
SELECT {_OUTCOME_COLUMNS} FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND op_id = $3 AND state <> 'STARTING'
"""
_GET = f"SELECT {_ROW_COLUMNS} FROM operations WHERE tenant_id = $1 AND build_id = $2 AND op_id = $3"
_TOLD = f"""
SELECT {_ROW_COLUMNS} FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND (log_sequence >= $3 OR state = 'LOST')
ORDER BY log_sequence, block LIMIT 10000
"""
_PAGE = f"""
SELECT {_ROW_COLUMNS} FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND (log_sequence, block) > ($3, $4)
ORDER BY log_sequence, block LIMIT $5
"""
_OPEN = """
SELECT op_id, log_sequence, block, tool, input FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND state = 'STARTING' AND generation = $3 ORDER BY log_sequence, block LIMIT 100
"""
# Announced in an older generation, whose files are rolled back.
_ADOPT = """
UPDATE operations o SET generation = $3, claims = 0 FROM builds b
WHERE o.tenant_id = $1 AND o.build_id = $2 AND o.op_id = $4 AND o.state = 'STARTING' AND o.generation < $3
  AND b.tenant_id = $1 AND b.build_id = $2 AND b.generation = $3
RETURNING true
"""
_TO_REDO = f"""
SELECT op_id, log_sequence, block, tool, input, {_OUTCOME_COLUMNS} FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND state = 'DONE' AND generation < $3 AND (log_sequence, block) > ($4, $5)
ORDER BY log_sequence, block LIMIT $6
"""
# What runs in the background changes files in its own time: after such a command no tree is like another.
_TREE_AFTER = """
SELECT tree_sha256 FROM snapshots
WHERE tenant_id = $1 AND build_id = $2 AND covers_sequence = $3 AND covers_block = $4 AND generation < $5
  AND NOT EXISTS (SELECT FROM operations WHERE tenant_id = $1 AND build_id = $2 AND tool = 'bash'
                  AND (log_sequence, block) <= ($3, $4) AND (input::jsonb ->> 'background')::boolean)
ORDER BY created_at DESC LIMIT 1
"""
# The last one that has ended; after an interrupted one nobody knows which claims the journal has.
_LAST_CLAIMED = """
SELECT CASE WHEN state = 'DONE' AND claims > 0 THEN op_id END FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND generation = $3 AND state IN ('DONE', 'INTERRUPTED')
ORDER BY log_sequence DESC, block DESC LIMIT 1
"""
_CWD = """
SELECT cwd FROM operations
WHERE tenant_id = $1 AND build_id = $2 AND cwd IS NOT NULL AND state <> 'LOST' AND (log_sequence, block) < ($3, $4)
ORDER BY log_sequence DESC, block DESC LIMIT 1
"""


class Verdict(enum.Enum):
    """What is to be done about an operation."""

    RUN = "RUN"
    FOLLOW = "FOLLOW"
    STORED = "STORED"
    NOT_FOUND = "NOT_FOUND"
    STALE_EPOCH = "STALE_EPOCH"
    STALE_GENERATION = "STALE_GENERATION"
    PREPARING = "PREPARING"
    CONFLICT = "CONFLICT"
    OUT_OF_ORDER = "OUT_OF_ORDER"


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer to an announcement: the verdict, the nonce that a start must name, and where a command starts."""

    verdict: Verdict
    nonce: int
    cwd: str | None


class Recorded(enum.Enum):
    """What became of a result."""

    RECORDED = "RECORDED"
    CLOSED = "CLOSED"
    STALE_GENERATION = "STALE_GENERATION"


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """An operation that is STARTING in the current generation."""

    op_id: str
    position: Position
    input: Mutating


class Operations:
    """Reads and changes the rows of operations."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def begin(self, call: Call) -> Begun:
        """Announce an operation: its STARTING row is committed when this returns RUN."""
        row = await self._pool.fetchrow(
            _BEGIN, *call.key, call.epoch, call.generation, call.op_id, *call.position,
            call.input.name, canonical(call.input), digest(call.input),
        )  # fmt: skip
        assert row is not None
        return Begun(Verdict(row["verdict"]), row["nonce"] or 0, row["cwd"])

    async def record(
        self, key: BuildKey, generation: int, op_id: str, state: OperationState, outcome: Outcome, claims: int
    ) -> Recorded:
        """Close an operation; `claims` says how many claims the caller has made for it."""
        failure = outcome.failure
        verdict = await self._pool.fetchval(
            _RECORD, *key, generation, op_id, claims, state.value, outcome.text, outcome.text_sha256,
            failure and failure.code.value, failure and failure.message,
            outcome.exit_status, outcome.elapsed_seconds, outcome.cwd, *_seen(outcome),
        )  # fmt: skip
        return Recorded(verdict)

    async def outcome(self, key: BuildKey, op_id: str) -> Outcome | None:
        """The stored result of a closed operation."""
        row = await self._pool.fetchrow(_OUTCOME, *key, op_id)
        return None if row is None else _outcome(row)

    async def get(self, key: BuildKey, op_id: str) -> Operation | None:
        """One row."""
        row = await self._pool.fetchrow(_GET, *key, op_id)
        return None if row is None else _operation(row)

    async def told(self, key: BuildKey, tail_sequence: int) -> Sequence[Operation]:
        """What an Attach tells: the operations from the tail of the log on, and every LOST one."""
        return [_operation(row) for row in await self._pool.fetch(_TOLD, *key, tail_sequence)]

    async def page(self, key: BuildKey, after: Position, size: int) -> Sequence[Operation]:
        """Rows in the order of the log, after a position."""
        return [_operation(row) for row in await self._pool.fetch(_PAGE, *key, *after, size)]

    async def open_ones(self, key: BuildKey, generation: int) -> Sequence[OpenOperation]:
        """What is STARTING in a generation."""
        rows = await self._pool.fetch(_OPEN, *key, generation)
        return [OpenOperation(row["op_id"], _position(row), parse(row["tool"], row["input"])) for row in rows]

    async def adopt(self, key: BuildKey, generation: int, op_id: str) -> bool:
        """Let an operation that started in a lost sandbox belong to this generation; False where it need not."""
        return bool(await self._pool.fetchval(_ADOPT, *key, generation, op_id))

    async def to_redo(self, build: Build, most: int) -> Sequence[DoneOperation]:
        """Operations whose effect went with an older generation, in the order of the log."""
        rows = await self._pool.fetch(_TO_REDO, *build.key, build.generation, *build.base, most)
        return [
            DoneOperation(row["op_id"], _position(row), parse(row["tool"], row["input"]), _outcome(row)) for row in rows
        ]

    async def tree_after(self, build: Build, position: Position) -> bytes | None:
        """The hash of the tree that a walk in an older generation noted after an operation; None when none did."""
        noted: bytes | None = await self._pool.fetchval(_TREE_AFTER, *build.key, *position, build.generation)
        return noted

    async def last_claimed(self, build: Build) -> str | None:
        """The last operation of this generation whose claim must stand in the journal; None when there is none."""
        op_id: str | None = await self._pool.fetchval(_LAST_CLAIMED, *build.key, build.generation)
        return op_id

    async def record_redone(self, build: Build, op_id: str, claims: int, again: Outcome) -> bool:
        """Note that an effect is present again, as `again` tells; False when overtaken."""
        redone: bool = await self._pool.fetchval(_RECORD_REDONE, *_fenced(build), op_id, claims, *_seen(again))
        return redone

    async def record_lost(self, build: Build) -> bool:
        """Give up whatever is left to be redone; False when overtaken."""
        lost: bool = await self._pool.fetchval(_RECORD_LOST, *_fenced(build))
        return lost

    async def cwd(self, key: BuildKey, before: Position) -> str | None:
        """The working directory that the last command before a position left."""
        cwd: str | None = await self._pool.fetchval(_CWD, *key, *before)
        return cwd


def _fenced(build: Build) -> tuple[str, str, int, int, int]:
    return (*build.key, build.fence.epoch, build.fence.attach_number, build.generation)


def _seen(outcome: Outcome) -> tuple[bytes | None, bytes | None]:
    seen = outcome.seen
    return (None, None) if seen is None else (seen.path_sha256, seen.content_sha256)


def _position(row: asyncpg.Record) -> Position:
    return Position(row["log_sequence"], row["block"])


def _outcome(row: asyncpg.Record) -> Outcome:
    code = row["failure_code"]
    return Outcome(
        text=row["result_text"],
        failure=Failure(FailureCode(code), row["failure_message"]) if code else None,
        exit_status=row["exit_status"],
        elapsed_seconds=row["elapsed_seconds"],
        cwd=row["cwd"],
    )


def _operation(row: asyncpg.Record) -> Operation:
    return Operation(
        op_id=row["op_id"],
        position=_position(row),
        generation=row["generation"],
        state=OperationState(row["state"]),
        tool=row["tool"],
        text_sha256=row["text_sha256"] or b"",
        claims=row["claims"],
        started_at=row["started_at"],
        closed_at=row["closed_at"],
    )
