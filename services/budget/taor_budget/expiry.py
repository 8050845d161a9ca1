"""Closes holds that have outlived their life, whoever took them and whatever became of that process."""

import asyncio
import logging
from contextlib import suppress

from taor_budget.store.ledger import LedgerStore

ACCOUNTS_AT_ONCE = 1000

_log = logging.getLogger(__name__)


async def expire_due(store: LedgerStore) -> int:
    """Close what is due, account by account in transactions of their own; returns the number of holds closed."""
    closed = 0
    for _ in range(ACCOUNTS_AT_ONCE):
        if not (count := await store.expire_one_account()):
            break
        closed += count
    return closed


async def keep_expiring(store: LedgerStore, every_seconds: float, stopping: asyncio.Event) -> None:
    """Look for due holds until the service stops; a failure is logged and tried again at the next look."""
    while not stopping.is_set():
        try:
            if closed := await expire_due(store):
                _log.warning("holds outlived their life", extra={"alarm": "expired", "count": closed})
        except Exception:  # the loop must outlive a database that is away; what is due stays due
            _log.exception("could not expire holds")
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await stopping.wait()
