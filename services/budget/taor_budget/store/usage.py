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
    Grouping.TOOL: "tool.name",
}
_SUMS = """
SELECT {group} AS name, count(*) FILTER (WHERE r.state = 'SETTLED') AS calls,
       coalesce(sum({of}(r.usage).input_tokens{each}), 0)::bigint,
       coalesce(sum({of}(r.usage).output_tokens{each}), 0)::bigint,
       coalesce(sum({of}(r.usage).cache_read_tokens{each}), 0)::bigint,
       coalesce(sum({of}(r.usage).cache_write_5m_tokens{each}), 0)::bigint,
       coalesce(sum({of}(r.usage).cache_write_1h_tokens{each}), 0)::bigint,
       count(*) FILTER (WHERE r.state <> 'SETTLED'),
       coalesce(sum({of}r.booked{each}) FILTER (WHERE r.state <> 'SETTLED'), 0)::bigint,
       coalesce(sum({of}r.booked{each}), 0)::bigint AS cost
  FROM {calls}
 WHERE b.tenant_id = $1 AND {whose} AND r.state IN ('SETTLED', 'CHARGED', 'EXPIRED')
 GROUP BY name ORDER BY {order} LIMIT {limit}"""
_CALLS = "builds b JOIN reservations r USING (tenant_id, build_id)"
# A call once for each tool that its answer asked for, or once for none.
_TOOLS = f"""{_CALLS}
 CROSS JOIN LATERAL
       unnest(CASE WHEN r.tools <> '{{}}' THEN r.tools ELSE '{{""}}' END) WITH ORDINALITY AS tool (name, nth)"""
_PAID_CALLS = """
SELECT booked, closed_at, epoch, taor_now() AS now, count(*) OVER () AS made FROM reservations
 WHERE tenant_id = $1 AND build_id = $2 AND state = 'SETTLED' ORDER BY epoch DESC, k DESC LIMIT $3"""
_NOW = "SELECT taor_now()"


def _statement(grouping: Grouping, whose: str, limit: str) -> str:
    """The statement that sums somebody's calls; a tool gets its share of each."""
    is_shared = grouping is Grouping.TOOL
    return _SUMS.format(
        group=_GROUPS[grouping],
        of="usage_share(" if is_shared else "(",
        each=", greatest(coalesce(cardinality(r.tools), 0), 1), tool.nth)" if is_shared else ")",
        calls=_TOOLS if is_shared else _CALLS,
        whose=whose,
        order="name DESC" if grouping is Grouping.DAY else "cost DESC, name",
        limit=limit,
    )


_OF_USER = {each: _statement(each, "b.user_id = $2 AND r.cycle_period = $3", "$4") for each in Grouping}
_OF_BUILD = {each: _statement(each, "b.build_id = $2", "$3") for each in Grouping}


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

    async def paid_calls(self, tenant_id: str, build_id: str) -> tuple[Sequence[PaidCall], int, datetime]:
        """The newest calls of a build that were settled, oldest first, how many all are, and the database's time."""
        rows = await self._pool.fetch(_PAID_CALLS, tenant_id, build_id, MAX_CALLS)
        now = rows[0]["now"] if rows else await self._pool.fetchval(_NOW)
        calls = [PaidCall(row["booked"], row["closed_at"], row["epoch"]) for row in reversed(rows)]
        return calls, rows[0]["made"] if rows else 0, now


def _row(row: asyncpg.Record) -> UsageRow:
    name, calls, *tokens, charged_calls, charged, cost = row.values()
    return UsageRow(name, calls, Usage(*tokens), charged_calls, charged, cost)
