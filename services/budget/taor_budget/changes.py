"""Tells which accounts have more money: by looking at all of them again and again, so no change can be missed.

The hints of a database would come with every settlement and take their turns at every commit; a look costs a reader of
the accounts about a millisecond for a thousand of them, and hinders nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from taor_budget.store.accounts import AccountStore

ACCOUNTS_AT_ONCE = 1000
LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Versions:
    """Accounts with their versions; `complete` when every account was told once."""

    accounts: Sequence[tuple[str, int]]
    complete: bool = False


class AccountChanges:
    """Follows the versions of a tenant's accounts."""

    def __init__(
        self,
        store: AccountStore,
        stopping: asyncio.Event,
        look_every_seconds: float = LOOK_EVERY_SECONDS,
        accounts_at_once: int = ACCOUNTS_AT_ONCE,
    ) -> None:
        self._store = store
        self._stopping = stopping
        self._look_every_seconds = look_every_seconds
        self._accounts_at_once = accounts_at_once

    async def follow(self, tenant_id: str) -> AsyncIterator[Versions]:
        """Every account, then each whose version has risen, for ever; it ends only when this process stops."""
        told: dict[str, int] = {}
        async for versions in self._look(tenant_id, told):
            yield versions
        yield Versions((), complete=True)
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every_seconds):
                    await self._stopping.wait()
                return
            async for versions in self._look(tenant_id, told):
                yield versions

    async def _look(self, tenant_id: str, told: dict[str, int]) -> AsyncIterator[Versions]:
        """What has risen above what was told."""
        last, more = "", True
        while more:
            page = await self._store.versions(tenant_id, last, self._accounts_at_once)
            more = len(page) == self._accounts_at_once
            risen = [(user_id, version) for user_id, version in page if version > told.get(user_id, 0)]
            told.update(risen)
            if risen:
                yield Versions(risen)
            last = page[-1][0] if page else last
