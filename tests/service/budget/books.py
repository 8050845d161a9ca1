"""The ledger on a real database, below the wire: small numbers, and a clock that tests move."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from taor_budget.accounts import Accounts, Opening
from taor_budget.ledger import Ledger
from taor_budget.plans import Plan, Plans
from taor_budget.pricing import Price, PriceTable, Rates, Tier, Usage
from taor_budget.reservations import Closing, Grant, Kind, Need, Rid, Settlement, State, Turn
from taor_budget.store.accounts import AccountStore, Binding
from taor_budget.store.ledger import LedgerStore
from taor_chassis.database import running_pool

TENANT = "tenant"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)  # the first day of a cycle of 30 days
MIDNIGHT = datetime(2026, 11, 26, tzinfo=UTC)
LIFE = timedelta(minutes=30)

PRICE_CHANGE = NOON + timedelta(days=2)

# 1 microdollar for a prompt token and 5 for one of the answer; twice as much after the price change.
FIRST_RATES = Rates(1_000_000, 5_000_000, 100_000, 1_000_000, 1_000_000)
LATER_RATES = Rates(2_000_000, 10_000_000, 200_000, 2_000_000, 2_000_000)
PRICES = PriceTable(
    [
        Price("model", datetime(2026, 1, 1, tzinfo=UTC), (Tier(0, FIRST_RATES),)),
        Price("model", PRICE_CHANGE, (Tier(0, LATER_RATES),)),
    ]
)
CYCLE_MICRODOLLARS = 60_000
DAY_MICRODOLLARS = CYCLE_MICRODOLLARS // 30
HARD_LIMIT_MICRODOLLARS = DAY_MICRODOLLARS * 110 // 100
PLANS = Plans([Plan("small", ("model",), 1, 1, CYCLE_MICRODOLLARS)])


@dataclass
class Books:
    """A ledger, what it is made of, and shorthands."""

    pool: asyncpg.Pool
    store: LedgerStore
    accounts: Accounts
    ledger: Ledger
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def beside(self, lanes: int | None = None) -> "Books":
        """The same ledger as another process has it, which shares no commit with this one."""
        store = LedgerStore(self.pool, lanes)
        return replace(self, store=store, ledger=Ledger(store, self.accounts, PRICES, LIFE))

    async def build(self, user_id: str = "user") -> Binding:
        """A new build of the user, attached at epoch 1."""
        build_id = str(UUID(int=next(self._numbers)))
        await self.accounts.admit(TENANT, build_id, user_id, "small", "")
        build = await self.accounts.binding(TENANT, build_id)
        await self.ledger.attach(build, 1, "owner")
        return build

    async def reserve(self, build: Binding, k: int, *, epoch: int = 1, **fields: Any) -> Turn:
        """Reserve for a call."""
        return await self.ledger.reserve(build, epoch, need(build, k, epoch=epoch, **fields))

    async def hold(self, build: Binding, k: int, *, epoch: int = 1, **fields: Any) -> Grant:
        """Reserve for a call that must be granted."""
        turn = await self.reserve(build, k, epoch=epoch, **fields)
        assert isinstance(turn.outcome, Grant)
        return turn.outcome

    async def settle(self, build: Binding, k: int, usage: Usage | None, *, epoch: int = 1) -> Closing:
        """Settle a call."""
        turn = await self.ledger.settle(build, Settlement(Rid(build.build_id, epoch, k), usage))
        assert turn.closing is not None
        return turn.closing

    async def release(self, build: Binding, k: int) -> Closing:
        """Release a hold."""
        return await self.ledger.release(build, 1, Rid(build.build_id, 1, k), "never_sent")

    async def charge(self, build: Binding, k: int) -> Closing:
        """Charge a hold."""
        return await self.ledger.charge(build, 1, Rid(build.build_id, 1, k), "cut_stream")

    async def state(self, build: Binding, k: int, *, epoch: int = 1) -> State:
        """Where a reservation stands."""
        (found,) = await self.store.reservations(TENANT, build.build_id, (epoch, k - 1), 1)
        assert found.rid == Rid(build.build_id, epoch, k)
        return found.state

    async def version(self, user_id: str = "user") -> int:
        """The version of the account."""
        return (await self.ledger.allowance(TENANT, user_id)).account_version

    async def waits(self, task: "asyncio.Future[Any]") -> bool:
        """True as soon as somebody waits for a lock, False when the task ends without that."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(60):
            while not task.done():
                if await self.pool.fetchval(waiting):
                    return True
                await asyncio.sleep(0.005)
        return False

    async def set_clock(self, instant: datetime) -> None:
        """Let the database's clock go on from this instant."""
        await self.pool.execute("UPDATE taor_clock_offset SET offset_by = $1 - clock_timestamp()", instant)

    async def pass_time(self, span: timedelta) -> None:
        """Let time pass."""
        await self.pool.execute("UPDATE taor_clock_offset SET offset_by = offset_by + $1", span)


def need(
    build: Binding,
    k: int,
    *,
    epoch: int = 1,
    kind: Kind = Kind.CALL,
    needs: int = 0,
    prompt: int = 100,
    least: int = 10,
    most: int = 100,
    earmark: Need | None = None,
    replaces: int | None = None,
) -> Need:
    """A call that costs between 150 and 600 microdollars at the first rates."""
    replaced = None if replaces is None else Rid(build.build_id, epoch, replaces)
    return Need(Rid(build.build_id, epoch, k), kind, needs, prompt, least, most, earmark, replaced)


@asynccontextmanager
async def open_books(dsn: str) -> AsyncIterator[Books]:
    """A ledger on a migrated database, at noon."""
    async with running_pool(dsn, max_size=8) as pool:
        accounts = Accounts(AccountStore(pool), PLANS, PRICES, Opening(allowed=True, time_zone="UTC"))
        store = LedgerStore(pool)
        books = Books(pool, store, accounts, Ledger(store, accounts, PRICES, LIFE))
        await books.set_clock(NOON)
        yield books
