"""What builds and users have used, and how a build may go on; read from the reservations, so it is what was booked."""

from collections.abc import Sequence

from taor_budget.accounts import Accounts
from taor_budget.forecast import Day, Forecast, forecast
from taor_budget.ledger import Ledger
from taor_budget.store.accounts import Binding
from taor_budget.store.usage import UsageStore
from taor_budget.usage import Grouping, UsageRow


class Reports:
    """Sums what builds and users have used, and looks ahead."""

    def __init__(self, store: UsageStore, accounts: Accounts, ledger: Ledger) -> None:
        self._store = store
        self._accounts = accounts
        self._ledger = ledger

    async def of_user(self, tenant_id: str, user_id: str, grouping: Grouping) -> tuple[UsageRow, ...]:
        """What a user has used in the current billing cycle. Raises AccountNotFound."""
        await self._ledger.allowance(tenant_id, user_id)  # so that the day that is remembered is today
        today = await self._accounts.today(tenant_id, user_id)
        return await self._store.of_user(tenant_id, user_id, f"cycle/{today.cycle.key.isoformat()}", grouping)

    async def of_build(self, build: Binding, grouping: Grouping) -> tuple[UsageRow, ...]:
        """What a build has used in all of its days."""
        return await self._store.of_build(build.tenant_id, build.build_id, grouping)

    async def forecast(self, build: Binding, finished: Sequence[int]) -> Forecast | None:
        """How a build may go on, judged by how many calls finished ones have made; None after too few calls."""
        allowance = await self._ledger.allowance(build.tenant_id, build.user_id)
        calls, made, now = await self._store.paid_calls(build.tenant_id, build.build_id)
        rest = allowance.allowance_microdollars - allowance.spent_microdollars
        day = Day(allowance.allowance_microdollars, rest, allowance.refresh_at)
        return forecast(calls, day, now, made, finished)
