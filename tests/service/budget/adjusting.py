"""Random histories in which people also top up and change plans, beside a model that knows what that must come to."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from taor_budget.adjustments import Adjustments
from taor_budget.allowance import today
from taor_budget.plans import Plan, Plans
from taor_budget.store.adjustments import AdjustmentStore
from tests.service.budget.books import CYCLE_MICRODOLLARS, PLANS, TENANT
from tests.service.budget.machine import BUILDS, LedgerMachine
from tests.service.budget.model import Counters, LedgerModel, Refused

TIERS = {"tiny": 200, "lesser": 3_000, "small": CYCLE_MICRODOLLARS, "large": 150_000}
OFFERS = Plans([*PLANS.all(), *(Plan(tier, ("model",), 1, 1, TIERS[tier]) for tier in TIERS if tier != "small")])


@dataclass
class AdjustableModel(LedgerModel):
    """The account with a plan that changes, and with what was topped up in each cycle and on each day."""

    planned: int = CYCLE_MICRODOLLARS
    topped_up: dict[str, dict[str, int]] = field(default_factory=dict)

    def top_up(self, now: datetime, microdollars: int) -> None:
        """The whole of it for the cycle and for today, whose hard stop ends where the cycle's money does."""
        self.expire(now)
        day, cycle = self._open_day(now)
        keys = today(now, self.zone, self.anchor_day)
        days = self.topped_up.setdefault(keys.cycle.key.isoformat(), {})
        days[keys.day.key.isoformat()] = days.get(keys.day.key.isoformat(), 0) + microdollars
        before = limits(cycle, day)
        cycle.limit = before[0] + microdollars
        day.limit = max(before[2], min((before[1] + microdollars) * 11 // 10, reach(cycle, day)))
        day.allowance = min(before[1] + microdollars, day.limit)
        self.version += 1

    def change_plan(self, now: datetime, planned: int) -> None:
        """The cycle gets the plan's money and the top-ups, today a share; what is used is never taken away."""
        self.expire(now)
        day, cycle = self._open_day(now)
        keys = today(now, self.zone, self.anchor_day)
        tops = self.topped_up.get(keys.cycle.key.isoformat(), {})
        of_today = tops.get(keys.day.key.isoformat(), 0)
        self.planned = planned
        target, before = planned + sum(tops.values()), limits(cycle, day)
        grows = target >= before[0]
        cycle.limit = target if grows else min(before[0], max(target, used(cycle)))
        within = reach(cycle, day)
        share = min(within, of_today + max(within - of_today, 0) // keys.days_left)
        if grows:
            day.allowance = max(before[1], share)
            day.limit = max(before[2], min(day.allowance * 11 // 10, within))
        else:
            day.allowance = min(before[1], max(share, used(day)))
            day.limit = min(before[2], max(min(day.allowance * 11 // 10, within), used(day)))
        self.version += any(after > one for one, after in zip(before, limits(cycle, day), strict=True))

    def _open_day(self, now: datetime) -> tuple[Counters, Counters]:
        cycle = today(now, self.zone, self.anchor_day).cycle.key.isoformat()
        self.cycles.setdefault(cycle, Counters(limit=self.planned))
        return super()._open_day(now)


def used(period: Counters) -> int:
    """What is spent or set aside."""
    return period.spent + period.reserved


def reach(cycle: Counters, day: Counters) -> int:
    """What could be spent on a day if the whole rest of the cycle were spent on it."""
    assert cycle.limit is not None
    return used(day) + max(cycle.limit - used(cycle), 0)


def limits(cycle: Counters, day: Counters) -> tuple[int, int, int]:
    """The cycle's limit, the day's allowance and its hard stop."""
    assert cycle.limit is not None
    assert day.limit is not None
    assert day.allowance is not None
    return cycle.limit, day.allowance, day.limit


class AdjustingMachine(LedgerMachine):
    """Whatever else is done, the account is topped up and changes its plan in between."""

    model: AdjustableModel

    @initialize(
        zone=st.sampled_from(["UTC", "America/Havana"]),
        start=st.sampled_from(
            [datetime.fromisoformat("2026-03-28T09:00Z"), datetime.fromisoformat("2026-10-31T03:00Z")]
        ),
    )
    def begin(self, zone: str, start: datetime) -> None:
        """The account of the other histories, on a plan that may change."""
        super().begin(zone, start)
        self.model = AdjustableModel(ZoneInfo(zone), self.model.anchor_day)
        for _ in range(BUILDS):
            self.model.open_build()
        self.ids = count()
        self.wishes: list[tuple[str, int | str]] = []

    @rule(microdollars=st.integers(1, 5_000))
    def top_up(self, microdollars: int) -> None:
        """Somebody adds money."""
        self._wish(microdollars)
        self.model.top_up(self.now, microdollars)

    @rule(tier=st.sampled_from(sorted(TIERS)))
    def change_plan(self, tier: str) -> None:
        """Somebody changes the plan, perhaps to the one that it is."""
        self._wish(tier)
        self.model.change_plan(self.now, TIERS[tier])

    @rule(place=st.sampled_from([0, 0, 1, 3]), other=st.booleans())
    def wish_again(self, place: int, other: bool) -> None:
        """A request comes again, as it was or with something else under its id."""
        if place < len(self.wishes):
            request_id, what = self.wishes[-1 - place]
            repeated = self._ask(request_id, 9_999 if other else what)
            assert (repeated == Refused("IdConflict")) == other
            self.model.expire(self.now)
            self.model._open_day(self.now)

    def _wish(self, what: int | str) -> None:
        request_id = f"{self.user_id}-{next(self.ids)}"
        self.wishes.append((request_id, what))
        assert not isinstance(self._ask(request_id, what), Refused)

    def _ask(self, request_id: str, what: int | str) -> object:
        adjustments = Adjustments(AdjustmentStore(self.books.pool), self.accounts, OFFERS)
        if isinstance(what, str):
            return self._answer(lambda: adjustments.change_plan(TENANT, self.user_id, what, request_id))
        return self._answer(lambda: adjustments.top_up(TENANT, self.user_id, what, request_id))
