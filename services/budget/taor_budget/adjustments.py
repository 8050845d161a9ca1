"""What people change about an account: they add money to its cycle, or put it on another plan."""

import hashlib
import json
import logging

from taor_budget.accounts import Accounts
from taor_budget.errors import IdConflict
from taor_budget.ledger import ROLLS, allowance_of
from taor_budget.plans import Plans
from taor_budget.reservations import Adjustment, AdjustmentKind, Allowance
from taor_budget.store.adjustments import AdjustmentStore, Wish
from taor_chassis.errors import DependencyUnavailable

_log = logging.getLogger(__name__)


class Adjustments:
    """Tops accounts up and changes their plans, each wish once for its id."""

    def __init__(self, store: AdjustmentStore, accounts: Accounts, plans: Plans) -> None:
        self._store = store
        self._accounts = accounts
        self._plans = plans

    async def top_up(
        self, tenant_id: str, user_id: str, microdollars: int, request_id: str
    ) -> tuple[Adjustment, Allowance]:
        """Add money to the current cycle. Raises AccountNotFound, IdConflict."""
        kind = AdjustmentKind.TOP_UP
        hashed = _sha256(kind, user_id, microdollars)
        return await self._adjust(tenant_id, user_id, Wish(request_id, hashed, kind, microdollars))

    async def change_plan(
        self, tenant_id: str, user_id: str, tier: str, request_id: str
    ) -> tuple[Adjustment, Allowance]:
        """Put the user on another plan. Raises AccountNotFound, TierUnknown, IdConflict."""
        plan, kind = self._plans.of_tier(tier), AdjustmentKind.PLAN_CHANGE
        wish = Wish(request_id, _sha256(kind, user_id, tier), kind, 0, tier, plan.cycle_microdollars)
        return await self._adjust(tenant_id, user_id, wish)

    async def _adjust(self, tenant_id: str, user_id: str, wish: Wish) -> tuple[Adjustment, Allowance]:
        today = await self._accounts.today(tenant_id, user_id)
        for _ in range(ROLLS):
            adjusted = await self._store.adjust(tenant_id, user_id, wish, today)
            if adjusted.adjustment is not None:
                if adjusted.request_sha256 != wish.request_sha256:
                    raise IdConflict(f"request {wish.request_id}")
                assert adjusted.counters is not None
                _log.info("an account stands adjusted", extra={"user": user_id, "request": wish.request_id})
                return adjusted.adjustment, allowance_of(adjusted.counters, today)
            today = await self._accounts.roll(tenant_id, user_id, adjusted.at)
        raise DependencyUnavailable("the account's day changed while it was adjusted; try again")


def _sha256(kind: AdjustmentKind, *content: object) -> bytes:
    """The hash of a request in a spelling of our own: protobuf has no canonical form."""
    return hashlib.sha256(json.dumps([kind.value, *content]).encode()).digest()
