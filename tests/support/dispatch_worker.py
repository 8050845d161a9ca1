"""A worker process for tests of dispatch: it works on every build it gets, and writes down what happened to it.

`python -m tests.support.dispatch_worker DSN FOLDER`. One line per happening in FOLDER/PID: `start BUILD EPOCH`, then
`handed BUILD EPOCH`, `cancelled BUILD EPOCH`, or `lost BUILD EPOCH` with what kept it from writing.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from taor_chassis.clock import SystemClock, SystemIds
from taor_orchestrator.build import BuildState, Claim, Ended, Ending, HandedOver, Outcome
from taor_orchestrator.dispatch.lease import LEASE_SECONDS
from taor_orchestrator.dispatch.rows import Pace, RowDispatch
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.localtools import outcome_body
from taor_orchestrator.ports import Lease
from taor_orchestrator.store.builds import BuildStore
from taor_orchestrator.store.leases import LeaseStore
from taor_orchestrator.store.projection import BuildRow


async def main(dsn: str, folder: Path) -> None:
    """Work until SIGTERM, then hand over."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    journal = folder / str(os.getpid())
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await row_dispatch(dsn, pool).run(lambda claim, lease: _work(journal, pool, claim, lease), stopping)


def row_dispatch(
    dsn: str, pool: asyncpg.Pool, *, slots: int = 100, pace: Pace | None = None, owner: str = ""
) -> RowDispatch:
    """The adapter under test, as the composition root makes it."""
    leases = LeaseStore(pool, owner or SystemIds().uuid7(), LEASE_SECONDS)
    return RowDispatch(dsn, BuildStore(pool), leases, SystemClock(), slots, pace)


def ended(claim: Claim, state: BuildState) -> History:
    """The shortest log that ends a build."""
    return History((Entry(1, 1, claim.epoch, EntryKind.OUTCOME, outcome_body(Outcome(state, "over"))),))


async def _work(journal: Path, pool: asyncpg.Pool, claim: Claim, lease: Lease) -> Ending:
    def note(what: str) -> None:
        with journal.open("a") as lines:
            lines.write(f"{what} {claim.build_id} {claim.epoch}\n")

    note("start")
    try:
        await _until_told(lease)
        if lease.cancel_requested.is_set():
            await BuildRow(pool, lambda _: None).project(claim, ended(claim, BuildState.CANCELLED), 0)
            note("cancelled")
            return Ended(Outcome(BuildState.CANCELLED, "over"))
        note("handed")
        return HandedOver()
    except asyncio.CancelledError:
        note("lost")
        raise


async def _until_told(lease: Lease) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in (lease.cancel_requested, lease.handing_over)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
