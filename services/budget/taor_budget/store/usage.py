"""The statements that sum what was used."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from taor_budget.forecast import PaidCall
from taor_budget.pricing import Usage
from taor_budget.usage import Grouping, UsageRow

MAX_ROWS = 1000
MAX_CALLS = 200
_GROUPS = {
    Grouping.BUILD: "r.build_id::text",
    Grouping.MODEL: "b.model",
    Grouping.DAY: "substr(r.day_period, 5)",
}
_SUMS = """count(*) FILTER (WHERE r.state = 'SETTLED') AS calls,
       coalesce(sum((r.usage).input_tokens), 0)::bigint,
       coalesce(sum((r.usage).output_tokens), 0)::bigint,
       coalesce(sum((r.usage).cache_read_tokens), 0)::bigint,
       coalesce(sum((r.usage).cache_write_5m_tokens), 0)::bigint,
       coalesce(sum((r.usage).cache_write_1h_tokens), 0)::bigint,
       count(*) FILTER (WHERE r.state IN ('CHARGED', 'EXPIRED')),
       coalesce(sum(r.booked) FILTER (WHERE r.state IN ('CHARGED', 'EXPIRED')), 0)::bigint,
       coalesce(sum(r.booked), 0)::bigint AS cost"""
_BOOKED = "r.state IN ('SETTLED', 'CHARGED', 'EXPIRED')"
_PAID_CALLS = """
SELECT booked, closed_at, epoch, taor_now() AS now FROM reservations
 WHERE tenant_id = $1 AND build_id = $2 AND state = 'SETTLED' ORDER BY epoch DESC, k DESC LIMIT $3"""
_NOW = "SELECT taor_now()"
_USER_BY = f"""
SELECT {{group}} AS name, {_SUMS}
  FROM builds b JOIN reservations r USING (tenant_id, build_id)
 WHERE b.tenant_id = $1 AND b.user_id = $2 AND r.cycle_period = $3 AND {_BOOKED}
 GROUP BY name ORDER BY {{order}} LIMIT $4"""
_BUILD_BY = f"""
SELECT {{group}} AS name, {_SUMS}
  FROM builds b JOIN reservations r USING (tenant_id, build_id)
 WHERE b.tenant_id = $1 AND b.build_id = $2 AND {_BOOKED}
 GROUP BY name ORDER BY {{order}} LIMIT $3"""
_ORDERS = {Grouping.BUILD: "cost DESC, name", Grouping.MODEL: "cost DESC, name", Grouping.DAY: "name DESC"}
_OF_USER = {each: _USER_BY.format(group=_GROUPS[each], order=_ORDERS[each]) for each in Grouping}
_OF_BUILD = {each: _BUILD_BY.format(group=_GROUPS[each], order=_ORDERS[each]) for each in Grouping}


class UsageStore:
    """Sums over the reservations in PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of_user(
        self, tenant_id: str, user_id: str, cycle_period: str, grouping: Grouping
    ) -> tuple[UsageRow, ...]:
        """What a user has used in a billing cycle."""
        rows = await self._pool.fetch(_OF_USER[grouping], tenant_id, user_id, cycle_period, MAX_ROWS)
        return tuple(map(_row, rows))

    async def of_build(self, tenant_id: str, build_id: str, grouping: Grouping) -> tuple[UsageRow, ...]:
        """What a build has used."""
        rows = await self._pool.fetch(_OF_BUILD[grouping], tenant_id, build_id, MAX_ROWS)
        return tuple(map(_row, rows))

    async def paid_calls(self, tenant_id: str, build_id: str) -> tuple[Sequence[PaidCall], datetime]:
        """The newest calls of a build that were settled, oldest first, and the time by the database's clock."""
        rows = await self._pool.fetch(_PAID_CALLS, tenant_id, build_id, MAX_CALLS)
        now = rows[0]["now"] if rows else await self._pool.fetchval(_NOW)
        return [PaidCall(row["booked"], row["closed_at"], row["epoch"]) for row in reversed(rows)], now


def _row(row: asyncpg.Record) -> UsageRow:
    name, calls, *tokens, charged_calls, charged, cost = row.values()
    return UsageRow(name, calls, Usage(*tokens), charged_calls, charged, cost)
