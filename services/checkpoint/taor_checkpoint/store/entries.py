"""The rows of the logs."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum

import asyncpg

from taor_checkpoint.entries import Kind, LogEntry, ModelCall, NewEntry, Place, SessionId, Summary, Usage
from taor_checkpoint.envelope import SEAL_BYTES

APPEND = "SELECT outcome, head, epoch FROM append_entries($1, $2, $3, $4, $5, $6)"

# One page: entries of the range in order, as many as fit into $5 bytes, but at least one.
PAGE = """
SELECT sequence, segment, epoch, append_time, kind, sealed_body, body_sha256, inbox_ids, call, origin_build_id
FROM (
    SELECT *, sum(octet_length(sealed_body)) OVER (ORDER BY sequence) AS bytes_so_far
    FROM (
        SELECT * FROM entries
        WHERE tenant_id = $1 AND build_id = $2 AND sequence > $3 AND sequence <= $4
        ORDER BY sequence LIMIT 256
    ) AS candidates
) AS page
WHERE bytes_so_far <= $5 OR sequence = $3 + 1
ORDER BY sequence
"""

# The same without the bodies; $5 is what sealing adds to one.
SUMMARIES = """
SELECT sequence, segment, epoch, append_time, kind, octet_length(sealed_body) - $5, body_sha256, inbox_ids, call,
       origin_build_id
FROM entries WHERE tenant_id = $1 AND build_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4
"""


class Outcome(StrEnum):
    """What an append led to."""

    DONE = "DONE"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    PROJECT_DELETED = "PROJECT_DELETED"
    LOG_EXPIRED = "LOG_EXPIRED"
    STALE_EPOCH = "STALE_EPOCH"
    NOT_ATTACHED = "NOT_ATTACHED"
    HEAD_MOVED = "HEAD_MOVED"
    LOG_CLOSED = "LOG_CLOSED"
    INBOX_ID_REPEATED = "INBOX_ID_REPEATED"


@dataclass(frozen=True, slots=True)
class Appended:
    """An outcome, with the head and the epoch that go with it."""

    outcome: Outcome
    head: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Range:
    """The entries after one sequence, up to and including another."""

    after: int
    up_to: int


class EntryStore:
    """Appends sealed entries and reads them; what is in a body does not matter here."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def append(
        self, session_id: SessionId, epoch: int, head: int, entries: Sequence[NewEntry], body_bytes: int
    ) -> Appended:
        """Append all or none, in one call and one commit; `body_bytes` is the size before sealing."""
        rows = [_row_of(entry) for entry in entries]
        try:
            row = await self._pool.fetchrow(
                APPEND, session_id.tenant_id, session_id.build_id, epoch, head, rows, body_bytes
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "inbox_entries_pkey":
                raise
            return Appended(Outcome.INBOX_ID_REPEATED, head, epoch)
        assert row is not None
        return Appended(Outcome(row["outcome"]), row["head"], row["epoch"])

    async def page(self, session_id: SessionId, wanted: Range, max_bytes: int) -> list[LogEntry]:
        """The first entries of a range: as many as fit into `max_bytes`, but at least one."""
        rows = await self._pool.fetch(
            PAGE, session_id.tenant_id, session_id.build_id, wanted.after, wanted.up_to, max_bytes
        )
        return [_entry_of(row) for row in rows]

    async def summaries(self, session_id: SessionId, after: int, most: int) -> list[Summary]:
        """The first entries after a sequence, without their bodies."""
        rows = await self._pool.fetch(SUMMARIES, session_id.tenant_id, session_id.build_id, after, most, SEAL_BYTES)
        return [_summary_of(row) for row in rows]


def _row_of(entry: NewEntry) -> tuple[object, ...]:
    """An entry in the order of the SQL type new_entry."""
    return (entry.kind, entry.body, entry.body_sha256, entry.inbox_ids, _call_row_of(entry.call))


def _call_row_of(call: ModelCall | None) -> tuple[object, ...] | None:
    if call is None:
        return None
    usage = None if call.usage is None else astuple(call.usage)
    return (
        call.rid,
        call.request_sha256,
        call.model,
        call.max_output_tokens,
        usage,
        call.stop_reason,
        call.price_id,
        call.start_time,
    )


def _entry_of(row: asyncpg.Record) -> LogEntry:
    sequence, segment, epoch, append_time, kind, body, body_sha256, inbox_ids, call, origin = row
    content = NewEntry(Kind(kind), body, body_sha256, tuple(inbox_ids), None if call is None else _call_of(call))
    return LogEntry(Place(sequence, segment, epoch, append_time), content, origin or "")


def _summary_of(row: asyncpg.Record) -> Summary:
    sequence, segment, epoch, append_time, kind, body_bytes, body_sha256, inbox_ids, call, origin = row
    place = Place(sequence, segment, epoch, append_time)
    record = None if call is None else _call_of(call)
    return Summary(place, Kind(kind), body_bytes, body_sha256, tuple(inbox_ids), record, origin or "")


def _call_of(row: asyncpg.Record) -> ModelCall:
    rid, request_sha256, model, max_output_tokens, usage, stop_reason, price_id, start_time = row
    reported = None if usage is None else Usage(*usage)
    return ModelCall(rid, request_sha256, model, max_output_tokens, reported, stop_reason, price_id, start_time)
