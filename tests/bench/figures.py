"""What a benchmark finds out: figures, each beside what it is compared with and what is aimed at."""

from dataclasses import dataclass
from enum import Enum


class Goal(Enum):
    """Which side of its bound a figure should be on."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound of the figure's ratio to its reference where it has one, else of the figure itself."""

    goal: Goal
    bound: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What a figure is divided by: measured in the same run, or reckoned."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of one benchmark."""

    bench: str
    name: str
    value: float
    unit: str = ""
    reference: Reference | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """The figure divided by its reference; None where it has none."""
        return self.value / self.reference.value if self.reference and self.reference.value else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        measured = self.value if self.reference is None else self.ratio
        if measured is None:
            return False
        return measured <= self.target.bound if self.target.goal is Goal.AT_MOST else measured >= self.target.bound


def at_most(bound: float) -> Target:
    """A target that is met at the bound and below it."""
    return Target(Goal.AT_MOST, bound)


def at_least(bound: float) -> Target:
    """A target that is met at the bound and above it."""
    return Target(Goal.AT_LEAST, bound)
