"""How a build may go on: what its next calls may cost, and when they will have used up the day's allowance.

A quantile is the nearest rank, the smallest value that at least the given share does not exceed: definition 1 of
Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996). It is always a cost
that a call really had, also of few calls. The pace is the median time from one settlement to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

FEWEST_CALLS = 3
MOST_CALLS = 1_000_000
"""More than any day brings; it keeps times countable."""


@dataclass(frozen=True, slots=True)
class PaidCall:
    """A call that was settled: what it cost, when, and the epoch that made it."""

    microdollars: int
    settled_at: datetime
    epoch: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a call costs at a quantile, how many of those the rest of the day carries, and when that is used up."""

    call_microdollars: int
    calls_left: int
    sleep_at: datetime | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The middle and the cautious outlook."""

    p50: Outlook
    p90: Outlook


def forecast(calls: Sequence[PaidCall], rest_microdollars: int, now: datetime, refresh_at: datetime) -> Forecast | None:
    """Judge by the calls so far, in the order in which they were settled; None when there are too few."""
    if len(calls) < FEWEST_CALLS:
        return None
    costs = sorted(call.microdollars for call in calls)
    # Between two epochs a build may have slept: only what one tenure did in a row has a pace.
    gaps = sorted(b.settled_at - a.settled_at for a, b in pairwise(calls) if a.epoch == b.epoch)
    pace = gaps[_rank(50, len(gaps))] if gaps else timedelta()

    def outlook(percent: int) -> Outlook:
        cost = max(costs[_rank(percent, len(costs))], 1)
        left = max(rest_microdollars, 0) // cost
        lasts = pace * min(left, MOST_CALLS)
        return Outlook(cost, left, now + lasts if left < MOST_CALLS and now + lasts < refresh_at else None)

    return Forecast(outlook(50), outlook(90))


def _rank(percent: int, count: int) -> int:
    """The index of the nearest rank among sorted values."""
    return max(-(-percent * count // 100) - 1, 0)
