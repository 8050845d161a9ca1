"""The statements about accounts and the builds that they pay for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from taor_budget.plans import Plan

_ACCOUNT = """
SELECT tier, coalesce(opening_tier, tier) AS opening_tier, time_zone, anchor_day
  FROM accounts WHERE tenant_id = $1 AND user_id = $2"""
_VERSIONS = """
SELECT user_id, version FROM accounts WHERE tenant_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"""
_NOW = "SELECT taor_now()"
_OPEN = """
INSERT INTO accounts (tenant_id, user_id, tier, time_zone, anchor_day, cycle_microdollars, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"""
_BUILD = "SELECT user_id, model, wanted_tier, wanted_model FROM builds WHERE tenant_id = $1 AND build_id = $2"
_ADMIT = """
WITH admitted AS (
    INSERT INTO builds (tenant_id, build_id, user_id, model, wanted_tier, wanted_model, admitted_at)
    VALUES ($1, $2, $3, $4, $5, $6, taor_now()) ON CONFLICT DO NOTHING
    RETURNING tenant_id, user_id, build_id)
INSERT INTO periods (tenant_id, user_id, period) SELECT tenant_id, user_id, 'build/' || build_id FROM admitted"""


@dataclass(frozen=True, slots=True)
class Account:
    """A user's account: the plan, and what its days and billing cycles follow."""

    tenant_id: str
    user_id: str
    tier: str
    opening_tier: str
    time_zone: str
    anchor_day: int


@dataclass(frozen=True, slots=True)
class Binding:
    """A build bound for good to the account that pays for it and to its model, and what it was admitted for."""

    tenant_id: str
    build_id: str
    user_id: str
    model: str
    wanted_tier: str
    wanted_model: str


class AccountStore:
    """Accounts and builds in PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def now(self) -> datetime:
        """The time by the database's clock."""
        now = await self._pool.fetchval(_NOW)
        assert isinstance(now, datetime)
        return now

    async def account(self, tenant_id: str, user_id: str) -> Account | None:
        """The account of a user."""
        row = await self._pool.fetchrow(_ACCOUNT, tenant_id, user_id)
        return Account(tenant_id, user_id, *row.values()) if row else None

    async def versions(self, tenant_id: str, after_user_id: str, limit: int) -> Sequence[tuple[str, int]]:
        """A page of a tenant's accounts, each with its version, by user."""
        return [
            (user_id, version)
            for user_id, version in await self._pool.fetch(_VERSIONS, tenant_id, after_user_id, limit)
        ]

    async def open(self, account: Account, plan: Plan, instant: datetime) -> None:
        """Open an account on a plan unless the user has one."""
        await self._pool.execute(
            _OPEN,
            account.tenant_id,
            account.user_id,
            account.tier,
            account.time_zone,
            account.anchor_day,
            plan.cycle_microdollars,
            instant,
        )

    async def build(self, tenant_id: str, build_id: str) -> Binding | None:
        """What a build was bound to."""
        row = await self._pool.fetchrow(_BUILD, tenant_id, build_id)
        return Binding(tenant_id, build_id, *row.values()) if row else None

    async def admit(self, binding: Binding) -> None:
        """Bind a build unless it is bound, and open the period that counts what it costs."""
        await self._pool.execute(
            _ADMIT,
            binding.tenant_id,
            binding.build_id,
            binding.user_id,
            binding.model,
            binding.wanted_tier,
            binding.wanted_model,
        )
