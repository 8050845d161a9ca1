"""Wakes the builds that rest for want of money as soon as their account has more.

What was heard of an account is compared with what its resting builds were denied at, again and again: a build that goes
to rest after its money has come is found by the next comparison, so nothing has to be checked when it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol

from taor_orchestrator.clients.accounts import AccountVersions
from taor_orchestrator.ports import DependencyDown
from taor_orchestrator.store.failures import dependable
from taor_orchestrator.store.resting import RestingStore

COMPARE_EVERY_SECONDS = 1.0
WAKE_BATCH = 50
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Accounts(Protocol):
    """Where the versions of accounts are heard of."""

    def changes(self) -> AsyncIterator[AccountVersions]:
        """Every account, then each that has more money; raises `DependencyDown` when the stream ends."""
        ...


class AccountWatch:
    """Follows the accounts and wakes who rests below them."""

    def __init__(self, accounts: Accounts, resting: RestingStore) -> None:
        self._accounts = accounts
        self._resting = resting
        self._versions: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._heard = asyncio.Event()

    async def run(self, stopping: asyncio.Event) -> None:
        """Follow and wake until `stopping` is set."""
        async with asyncio.TaskGroup() as loops:
            tasks = [loops.create_task(self._follow()), loops.create_task(self._wake_forever())]
            await stopping.wait()
            for task in tasks:
                task.cancel()

    async def _follow(self) -> None:
        """Hear of every change; a stream that breaks is begun anew, and tells everything first."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                async for told in self._accounts.changes():
                    self._versions[told.tenant_id].update(told.versions)
                    self._heard.set()
                    pause_seconds = FIRST_PAUSE_SECONDS
            except DependencyDown as down:
                _log.info("the accounts are followed anew", extra={"why": str(down)})
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def _wake_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMPARE_EVERY_SECONDS):
                    await self._heard.wait()
            self._heard.clear()
            try:
                async with dependable():
                    for tenant_id in tuple(self._versions):
                        await self._wake(tenant_id)
            except DependencyDown as down:
                _log.warning("resting builds cannot be woken", extra={"why": str(down)})

    async def _wake(self, tenant_id: str) -> None:
        """Wake some of the builds that rest below what was heard of their accounts; the next comparison wakes more."""
        versions = self._versions[tenant_id]
        async for denied in self._resting.denied_versions(tenant_id):
            risen = {user_id: versions[user_id] for user_id, at in denied if versions.get(user_id, 0) > at}
            if risen:
                await self._resting.wake_funded(tenant_id, risen, WAKE_BATCH)
