"""The statements of the ledger: calls of the functions in `sql/ledger.sql`, and reads for take-over and audit."""

import asyncpg

from taor_budget.allowance import Today
from taor_budget.pricing import Price
from taor_budget.reservations import Balance, JournalEntry, Reservation, Rid, Settlement, State
from taor_budget.store.rows import (
    Ended,
    LedgerTurn,
    Priced,
    TurnCall,
    balance_of,
    ended_of,
    entry_of,
    need_row,
    reservation_of,
    settlement_row,
    today_row,
)
from taor_budget.store.turns import SharedCommits

_END = "SELECT * FROM ledger_end($1, $2, $3, $4, $5, $6, $7, $8)"
_ATTACH = "SELECT * FROM ledger_attach($1, $2, $3, $4, $5)"
_EXPIRE = "SELECT ledger_expire_one_account()"

_RESERVATION = """build_id, epoch, k, kind, state, needs_sequence, held, booked, price_id, usage, reason,
    reserved_at, expires_at, closed_at"""
_UNDECIDED = f"""
SELECT {_RESERVATION} FROM reservations
 WHERE tenant_id = $1 AND build_id = $2 AND state IN ('HELD', 'EXPIRED')
 ORDER BY state = 'HELD' DESC, epoch DESC, k DESC LIMIT 1000"""
_PAGE_OF_RESERVATIONS = f"""
SELECT {_RESERVATION} FROM reservations
 WHERE tenant_id = $1 AND build_id = $2 AND (epoch, k) > ($3, $4) ORDER BY epoch, k LIMIT $5"""
_PAGE_OF_JOURNAL = """
SELECT sequence, period, build_id, epoch, k, allowance_delta, limit_delta, reserved_delta, spent_delta, overrun_delta,
       at, coalesce(request_id, '')
  FROM journal WHERE tenant_id = $1 AND user_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4"""
_BALANCES = """
SELECT period, allowance, "limit", reserved, spent, overrun
  FROM periods WHERE tenant_id = $1 AND user_id = $2 ORDER BY period LIMIT 100000"""


class LedgerStore:
    """The ledger in PostgreSQL; every method is one transaction, and only turns of the money share one."""

    def __init__(self, pool: asyncpg.Pool, lanes: int | None = None) -> None:
        """`lanes`: how many turns are committed at a time; half the pool, for the other half is for all else."""
        self._pool = pool
        self._turns = SharedCommits(pool, lanes or max(1, pool.get_max_size() // 2))

    async def turn(
        self,
        tenant_id: str,
        user_id: str,
        today: Today,
        *,
        build_id: str | None = None,
        epoch: int = 0,
        settlement: Settlement | None = None,
        prices: tuple[Price, ...] = (),
        priced: Priced | None = None,
        earmark: Priced | None = None,
    ) -> LedgerTurn:
        """Settle a call and hold for the next and for its earmark, each where given, in one commit."""
        settled = settlement and settlement_row(settlement, prices)
        tools = settlement and settlement.tools
        needed, kept = priced and need_row(priced), earmark and need_row(earmark)
        replaced = priced and priced.need.replaces and priced.need.replaces.k
        asked = (build_id, epoch, settled, tools, needed, kept, replaced, today_row(today))
        return await self._turns.turn(TurnCall(tenant_id, user_id, asked))

    async def end(self, tenant_id: str, user_id: str, epoch: int, rid: Rid, state: State, reason: str) -> Ended:
        """Close a hold without a usage, as RELEASED or as CHARGED."""
        row = await self._pool.fetchrow(
            _END, tenant_id, user_id, rid.build_id, epoch, rid.epoch, rid.k, state.value, reason
        )
        assert row is not None
        ended = ended_of(row["closing"])
        assert ended is not None
        return Ended(ended.refusal, ended.closing, row["highest_epoch"], ended.state)

    async def attach(self, tenant_id: str, user_id: str, build_id: str, epoch: int, owner: str) -> tuple[bool, int]:
        """Raise the fence of a build; whether it is ours now, and the epoch that stands."""
        row = await self._pool.fetchrow(_ATTACH, tenant_id, user_id, build_id, epoch, owner)
        assert row is not None
        return row["attached"], row["highest_epoch"]

    async def undecided(self, tenant_id: str, build_id: str) -> tuple[Reservation, ...]:
        """The reservations of a build that are HELD or EXPIRED, oldest first; of many expired ones the newest."""
        rows = await self._pool.fetch(_UNDECIDED, tenant_id, build_id)
        return tuple(sorted(map(reservation_of, rows), key=lambda each: (each.rid.epoch, each.rid.k)))

    async def reservations(
        self, tenant_id: str, build_id: str, after: tuple[int, int], limit: int
    ) -> tuple[Reservation, ...]:
        """A page of a build's reservations in the order of their creation."""
        rows = await self._pool.fetch(_PAGE_OF_RESERVATIONS, tenant_id, build_id, *after, limit)
        return tuple(map(reservation_of, rows))

    async def journal(
        self, tenant_id: str, user_id: str, after: int, limit: int
    ) -> tuple[tuple[JournalEntry, ...], tuple[Balance, ...]]:
        """A page of an account's journal and, with the last page, the balances in the same snapshot."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            entries = tuple(map(entry_of, await connection.fetch(_PAGE_OF_JOURNAL, tenant_id, user_id, after, limit)))
            if len(entries) == limit:
                return entries, ()
            return entries, tuple(map(balance_of, await connection.fetch(_BALANCES, tenant_id, user_id)))

    async def expire_one_account(self) -> int:
        """Close what is due of one account; how many holds that were, 0 when nothing is due."""
        count = await self._pool.fetchval(_EXPIRE)
        assert isinstance(count, int)
        return count
