"""Builds as jobs: who works on which, and until when."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from taor_orchestrator.build import Assignment, Claim, Clarification, Fork
from taor_orchestrator.inbox import Signals

SIGNALS = """b.cancel_requested, b.pause_requested, EXISTS (
               SELECT FROM inbox i WHERE i.build_id = b.build_id AND i.log_sequence = 0 AND i.kind <> 'CANCEL'
           ) AS inbox_waiting"""
CLAIM = f"""
    WITH claimed AS MATERIALIZED (SELECT * FROM claim_builds($1, $2, $3))
    SELECT c.build_id, c.epoch, c.fruitless, b.tenant_id, b.user_id, b.project_id, b.model, b.max_output_tokens,
           a.brief, a.clarifications, a.plan, b.origin_build_id, b.origin_turn, f.instruction, {SIGNALS}
    FROM claimed c JOIN builds b USING (build_id) JOIN assignments a USING (build_id)
    LEFT JOIN forks f USING (build_id)"""
BEAT = f"""
    UPDATE builds b SET lease_until = taor_now() + $3
    FROM unnest($1::uuid[], $2::bigint[]) AS mine (build_id, epoch)
    WHERE b.build_id = mine.build_id AND b.epoch = mine.epoch AND b.state = 'RUNNING'
    RETURNING b.build_id, {SIGNALS}"""
REQUEUE = "SELECT requeue_build($1, $2, $3, $4, $5)"
WAKE_DUE = "SELECT wake_due_builds($1)"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim as it was made, and what waits for its worker already."""

    claim: Claim
    signals: Signals


class LeaseStore:
    """The builds as jobs: who works on which, and until when."""

    def __init__(self, pool: asyncpg.Pool, owner: str, lease_seconds: float) -> None:
        self._pool = pool
        self._owner = owner
        self._lease = datetime.timedelta(seconds=lease_seconds)

    async def claim(self, slots: int) -> Sequence[Claimed]:
        """Claim at most `slots` builds that are due, or whose worker has vanished."""
        rows = await self._pool.fetch(CLAIM, self._owner, slots, self._lease)
        return [self._claimed(row) for row in rows]

    async def beat(self, held: Sequence[tuple[str, int]]) -> dict[str, Signals]:
        """Renew the leases of (build, epoch) pairs; those still ours, each with what waits for its worker."""
        ids, epochs = [UUID(build_id) for build_id, _ in held], [epoch for _, epoch in held]
        rows = await self._pool.fetch(BEAT, ids, epochs, self._lease)
        return {str(row["build_id"]): signals_of(row) for row in rows}

    async def requeue(self, claim: Claim, delay_seconds: float, reason: str, *, in_vain: bool = True) -> None:
        """Give the build back to the queue, to be claimed after `delay_seconds`.

        Unless it was claimed `in_vain`, the claim does not count towards giving the build up.
        """
        delay = datetime.timedelta(seconds=delay_seconds)
        await self._pool.execute(REQUEUE, UUID(claim.build_id), claim.epoch, delay, reason, in_vain)

    async def wake_due(self, most: int) -> int:
        """Queue the resting builds whose time has come; how many there were."""
        return int(await self._pool.fetchval(WAKE_DUE, most))

    def _claimed(self, row: asyncpg.Record) -> Claimed:
        answers = tuple(Clarification(*each) for each in orjson.loads(row["clarifications"]))
        claim = Claim(
            tenant_id=row["tenant_id"],
            build_id=str(row["build_id"]),
            epoch=row["epoch"],
            owner=self._owner,
            user_id=row["user_id"],
            project_id=row["project_id"],
            model=row["model"],
            max_output_tokens=row["max_output_tokens"],
            assignment=Assignment(row["brief"], answers, row["plan"]),
            fruitless_claims=row["fruitless"],
            fork=_fork(row),
        )
        return Claimed(claim, signals_of(row))


def _fork(row: asyncpg.Record) -> Fork | None:
    if row["origin_build_id"] is None:
        return None
    return Fork(str(row["origin_build_id"]), row["origin_turn"], row["instruction"])


def signals_of(row: asyncpg.Record) -> Signals:
    """The columns of `SIGNALS`."""
    return Signals(row["cancel_requested"], row["pause_requested"], row["inbox_waiting"])
