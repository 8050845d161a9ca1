"""Deletes what nobody may read any more: the logs of deleted projects, and those that were kept long enough.

What is to go stands in the rows, so it goes on after a kill, in whichever process comes round first.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from taor_checkpoint.entries import Deletion
from taor_checkpoint.keyring import Keyring
from taor_checkpoint.store.deletions import DeletionStore

ROUND_SECONDS = 10.0
SESSIONS_AT_ONCE = 50
ENTRIES_AT_ONCE = 100
BYTES_AT_ONCE = 16 << 20
PURGES_PER_ROUND = 1000

_log = logging.getLogger(__name__)


class Deletions:
    """Destroys keys at once, and rows in rounds, each bounded; what a round leaves, the next one takes."""

    def __init__(self, store: DeletionStore, keyring: Keyring, keep: timedelta | None) -> None:
        self._store = store
        self._keyring = keyring
        self._keep = keep
        self._wanted = asyncio.Event()

    async def delete_project(self, tenant_id: str, project_id: str) -> Deletion:
        """Destroy the key of a project for good; its rows follow. The same again tells how far it has come."""
        deletion = await self._store.shred(tenant_id, project_id)
        self._keyring.forget_project(tenant_id, project_id)
        if deletion.purge_time is None:
            self._wanted.set()
        return deletion

    async def run(self) -> None:
        """Go round until cancelled; a failure is logged and tried again in the next round."""
        while True:
            self._wanted.clear()
            busy = False
            try:
                busy = await self.round()
            except Exception:  # the loop must outlive a database that is away; what is to go stays so
                _log.exception("a round of deletions failed")
            if not busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(ROUND_SECONDS):
                        await self._wanted.wait()

    async def round(self) -> bool:
        """Give up some of what is to go, delete rows of it, and note what is done; whether there was anything to do."""
        self._keyring.forget_old()
        expired = 0 if self._keep is None else await self._store.give_up_expired(self._keep, SESSIONS_AT_ONCE)
        deleted = await self._store.give_up_deleted(SESSIONS_AT_ONCE)
        purged = await self._purge()
        finished = await self._store.finish(SESSIONS_AT_ONCE)
        if expired or deleted or finished:
            _log.info("logs were deleted", extra={"expired": expired, "deleted": deleted, "projects": finished})
        return bool(expired or deleted or purged or finished)

    async def _purge(self) -> int:
        for count in range(PURGES_PER_ROUND):
            if not await self._store.purge_some(ENTRIES_AT_ONCE, BYTES_AT_ONCE):
                return count
        return PURGES_PER_ROUND
