"""Accounts: who pays for a build, on which plan, and in which days and billing cycles."""

import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from taor_budget import allowance
from taor_budget.allowance import Today
from taor_budget.errors import AccountNotFound, BuildNotFound, IdConflict, ModelUnknown, PlanMismatch, TimeZoneUnknown
from taor_budget.plans import Plan, Plans
from taor_budget.pricing import PriceTable
from taor_budget.remembered import Remembered
from taor_budget.store.accounts import Account, AccountStore, Binding

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a build may open an account for a user who has none, and the time zone that it gets."""

    allowed: bool
    time_zone: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What the plan grants to a build."""

    plan: Plan
    model: str


class Accounts:
    """Admits builds and knows the accounts behind them; what never changes is remembered, a tier is not."""

    def __init__(self, store: AccountStore, plans: Plans, prices: PriceTable, opening: Opening) -> None:
        self._store = store
        self._plans = plans
        self._prices = prices
        self._opening = opening
        self._bindings: Remembered[tuple[str, str], Binding] = Remembered(REMEMBERED)
        self._calendars: Remembered[tuple[str, str], Account] = Remembered(REMEMBERED)
        self._days: Remembered[tuple[str, str], Today] = Remembered(REMEMBERED)

    async def open(self, tenant_id: str, user_id: str, tier: str, time_zone: str) -> Account:
        """Open the account of a user, once; no time zone means the installation's own.

        Raises TierUnknown, TimeZoneUnknown, IdConflict.
        """
        time_zone = time_zone or self._opening.time_zone
        if time_zone not in zoneinfo.available_timezones():
            raise TimeZoneUnknown(time_zone)
        await self._open(tenant_id, user_id, self._plans.of_tier(tier), time_zone)
        account = await self.account(tenant_id, user_id)
        if (account.opening_tier, account.time_zone) != (tier, time_zone):
            raise IdConflict(f"the account of {user_id}")
        return account

    async def admit(self, tenant_id: str, build_id: str, user_id: str, tier: str, model: str) -> Admission:
        """Bind a build to its account and model, once.

        Raises TierUnknown, ModelNotAllowed, ModelUnknown, AccountNotFound, PlanMismatch, IdConflict.
        """
        bound = await self._store.build(tenant_id, build_id)
        if bound is None:
            bound = await self._bind(tenant_id, build_id, user_id, tier, model)
        if (bound.user_id, bound.wanted_tier, bound.wanted_model) != (user_id, tier, model):
            raise IdConflict(f"build {build_id}")
        account = await self.account(tenant_id, user_id)
        return Admission(self._plans.of_tier(account.tier), bound.model)

    async def _bind(self, tenant_id: str, build_id: str, user_id: str, tier: str, model: str) -> Binding:
        plan = self._plans.of_tier(tier)
        wanted = model or plan.models[0]
        if self._prices.quote(wanted, await self._store.now()) is None:
            raise ModelUnknown(wanted)
        chosen = plan.choose_model(model)
        await self._match_account(tenant_id, user_id, plan)
        await self._store.admit(Binding(tenant_id, build_id, user_id, chosen, tier, model))
        bound = await self._store.build(tenant_id, build_id)
        assert bound is not None
        return bound

    async def _match_account(self, tenant_id: str, user_id: str, plan: Plan) -> None:
        """See that the user's account is on the plan; open one where that is allowed."""
        if self._opening.allowed:
            await self._open(tenant_id, user_id, plan, self._opening.time_zone)
        account = await self.account(tenant_id, user_id)
        if account.tier != plan.tier:
            raise PlanMismatch(plan.tier, account.tier)

    async def _open(self, tenant_id: str, user_id: str, plan: Plan, time_zone: str) -> None:
        """Open an account unless there is one; its cycles renew on the day of the month that it is there now."""
        now = await self._store.now()
        anchor_day = allowance.day_of(now, ZoneInfo(time_zone)).key.day
        await self._store.open(Account(tenant_id, user_id, plan.tier, plan.tier, time_zone, anchor_day), plan, now)

    async def binding(self, tenant_id: str, build_id: str) -> Binding:
        """The account and model of a build. Raises BuildNotFound."""
        return await self._bindings.get((tenant_id, build_id), lambda: self._find_build(tenant_id, build_id))

    async def account(self, tenant_id: str, user_id: str) -> Account:
        """The account of a user, as it is now. Raises AccountNotFound."""
        if (found := await self._store.account(tenant_id, user_id)) is None:
            raise AccountNotFound(user_id)
        return found

    async def today(self, tenant_id: str, user_id: str) -> Today:
        """The account's day as last seen. It may be over; the ledger says so, and then `roll` finds the next."""

        async def look_up() -> Today:
            return _today(await self._calendar(tenant_id, user_id), await self._store.now())

        return await self._days.get((tenant_id, user_id), look_up)

    async def roll(self, tenant_id: str, user_id: str, instant: datetime) -> Today:
        """The account's day at an instant of the database's clock."""
        today = _today(await self._calendar(tenant_id, user_id), instant)
        self._days.put((tenant_id, user_id), today)
        return today

    async def _find_build(self, tenant_id: str, build_id: str) -> Binding:
        if (found := await self._store.build(tenant_id, build_id)) is None:
            raise BuildNotFound(build_id)
        return found

    async def _calendar(self, tenant_id: str, user_id: str) -> Account:
        """The account for the sake of its time zone and anchor day, which never change."""
        return await self._calendars.get((tenant_id, user_id), lambda: self.account(tenant_id, user_id))


def _today(account: Account, instant: datetime) -> Today:
    return allowance.today(instant, ZoneInfo(account.time_zone), account.anchor_day)
