"""Builds that rest for want of money, and the versions of their accounts that denied it to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import asyncpg

ACCOUNTS_AT_ONCE = 1000
DENIED_VERSIONS = """
    SELECT user_id, min(denied_version) FROM builds
    WHERE tenant_id = $1 AND user_id > $2 AND state IN ('SLEEPING', 'WAITING_BUDGET')
    GROUP BY user_id ORDER BY user_id LIMIT $3"""
WAKE_FUNDED = "SELECT wake_funded_builds($1, $2, $3, $4)"


class RestingStore:
    """The resting builds, by the accounts that pay for them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def denied_versions(self, tenant_id: str) -> AsyncIterator[Sequence[tuple[str, int]]]:
        """Pages of the users with resting builds, each with the lowest version that one of them was denied at."""
        last = ""
        while True:
            page = [tuple(row) for row in await self._pool.fetch(DENIED_VERSIONS, tenant_id, last, ACCOUNTS_AT_ONCE)]
            yield page
            if len(page) < ACCOUNTS_AT_ONCE:
                return
            last = page[-1][0]

    async def wake_funded(self, tenant_id: str, versions: Mapping[str, int], most: int) -> int:
        """Queue at most `most` builds that were denied below these versions of their accounts; how many there were."""
        return int(await self._pool.fetchval(WAKE_FUNDED, tenant_id, list(versions), list(versions.values()), most))
