"""The plans on offer: what a tier may spend in a billing cycle, and on which models."""

from collections.abc import Iterable
from dataclasses import dataclass

from taor_budget.errors import ModelNotAllowed, TierUnknown


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tier grants; the first model is the plan's own choice."""

    tier: str
    models: tuple[str, ...]
    max_concurrent_builds: int
    priority: int
    cycle_microdollars: int

    def __post_init__(self) -> None:
        if not self.models or self.max_concurrent_builds < 1 or self.cycle_microdollars < 0:
            raise ValueError(f"plan {self.tier}: it needs a model, a build at a time and an allowance")

    def choose_model(self, wanted: str) -> str:
        """The model of a build that wants this one, or the plan's own choice. Raises ModelNotAllowed."""
        if not wanted:
            return self.models[0]
        if wanted not in self.models:
            raise ModelNotAllowed(self.tier, wanted, self.models)
        return wanted


class Plans:
    """Every plan, by its tier."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._by_tier = {plan.tier: plan for plan in plans}

    def of_tier(self, tier: str) -> Plan:
        """The plan of a tier. Raises TierUnknown."""
        if tier not in self._by_tier:
            raise TierUnknown(tier, tuple(self._by_tier))
        return self._by_tier[tier]

    def all(self) -> tuple[Plan, ...]:
        """Every plan, in the order of their allowance."""
        return tuple(sorted(self._by_tier.values(), key=lambda plan: plan.cycle_microdollars))
