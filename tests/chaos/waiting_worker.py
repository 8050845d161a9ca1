"""A worker whose builds mostly wait, as those do whose model thinks: `python -m tests.chaos.waiting_worker DSN SLOTS`.

Each step of a build waits, and is then projected; the last one ends it. A build goes on where the row says that it is.
"""

import asyncio
import os
import random
import signal
import sys
from uuid import UUID

import asyncpg

from taor_orchestrator.build import BuildState, Claim, Ended, Ending, HandedOver, Outcome
from taor_orchestrator.context import note_body
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.localtools import outcome_body
from taor_orchestrator.ports import Lease
from taor_orchestrator.store.projection import BuildRow
from tests.support.dispatch_worker import row_dispatch

STEPS = 6
SHORTEST_STEP_SECONDS, LONGEST_STEP_SECONDS = 0.3, 1.0
OVER = Outcome(BuildState.SUCCEEDED, "over")


async def main(dsn: str, slots: int) -> None:
    """Work until SIGTERM, then hand over."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await row_dispatch(dsn, pool, slots=slots, owner=str(os.getpid())).run(
            lambda claim, lease: _work(pool, claim, lease), stopping
        )


async def _work(pool: asyncpg.Pool, claim: Claim, lease: Lease) -> Ending:
    row = BuildRow(pool, lambda _: None)
    done = await pool.fetchval("SELECT projected_sequence FROM builds WHERE build_id = $1", UUID(claim.build_id))
    for step in range(done + 1, STEPS + 1):
        await asyncio.sleep(random.uniform(SHORTEST_STEP_SECONDS, LONGEST_STEP_SECONDS))
        if lease.handing_over.is_set():
            return HandedOver()
        lease.check()
        await row.project(claim, _history(claim, step), 0)
    return Ended(OVER)


def _history(claim: Claim, steps: int) -> History:
    notes = [Entry(step, 1, claim.epoch, EntryKind.USER, note_body("Go on.")) for step in range(1, steps + 1)]
    if steps == STEPS:
        notes[-1] = Entry(steps, 1, claim.epoch, EntryKind.OUTCOME, outcome_body(OVER))
    return History(tuple(notes))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
