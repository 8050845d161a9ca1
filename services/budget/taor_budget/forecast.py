"""How a build may go on: what its calls may cost, when they will have used up the day's allowance, when it may be done.

How many calls it still has to make is judged by finished builds that made more than it has made so far.

A quantile is the nearest rank, the smallest value that at least the given share does not exceed: definition 1 of
Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996). It is always a cost
that a call really had, also of few calls. The pace is the median time from one settlement to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

FEWEST_CALLS = 3
FEWEST_BUILDS = 3
MOST_DAYS = 3_650
"""Who needs longer is not forecast."""
MOST_CALLS = 1_000_000
"""More than any day brings; it keeps times countable."""


@dataclass(frozen=True, slots=True)
class PaidCall:
    """A call that was settled: what it cost, when, and the epoch that made it."""

    microdollars: int
    settled_at: datetime
    epoch: int


@dataclass(frozen=True, slots=True)
class Day:
    """The allowance of a day, what is left of it, and when the next one begins."""

    limit_microdollars: int
    rest_microdollars: int
    refresh_at: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """What a build still costs and when it is done; never, where no day's allowance carries a call."""

    microdollars: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a call costs at a quantile, how many of those the rest of the day carries, when money is used up next."""

    call_microdollars: int
    calls_left: int
    sleep_at: datetime | None
    finish: Finish | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The middle and the cautious outlook."""

    p50: Outlook
    p90: Outlook


def forecast(
    calls: Sequence[PaidCall], day: Day, now: datetime, made: int = 0, finished: Sequence[int] = ()
) -> Forecast | None:
    """Judge by the newest calls, in the order in which they were settled; None when there are too few.

    `made` is how many calls the build has made, `finished` how many finished builds like it have made in all.
    """
    if len(calls) < FEWEST_CALLS:
        return None
    costs = sorted(call.microdollars for call in calls)
    # Between two epochs a build may have slept: only what one tenure did in a row has a pace.
    gaps = sorted(b.settled_at - a.settled_at for a, b in pairwise(calls) if a.epoch == b.epoch)
    pace = gaps[_rank(50, len(gaps))] if gaps else timedelta()

    def outlook(percent: int) -> Outlook:
        cost = max(costs[_rank(percent, len(costs))], 1)
        left = max(day.rest_microdollars, 0) // cost
        finish = None
        if len(further) >= FEWEST_BUILDS:
            needed = further[_rank(percent, len(further))]
            finish = Finish(needed * cost, _finish_at(needed, cost, day, now, pace))
        return Outlook(cost, left, _sleep_at(cost, left, day, now, pace), finish)

    further = sorted(total - made for total in finished if total > made)
    return Forecast(outlook(50), outlook(90))


def _sleep_at(cost: int, left: int, day: Day, now: datetime, pace: timedelta) -> datetime | None:
    """When the money of a day is used up: that of today, or of tomorrow when today's is."""
    begins, ends = (now, day.refresh_at) if left else (day.refresh_at, day.refresh_at + timedelta(days=1))
    carried = left or day.limit_microdollars // cost
    lasts = pace * min(carried, MOST_CALLS)
    return begins + lasts if carried < MOST_CALLS and begins + lasts < ends else None


def _finish_at(needed: int, cost: int, day: Day, now: datetime, pace: timedelta) -> datetime | None:
    """When this many calls are made: as many each day as its allowance carries, at the pace of the build."""
    left = max(day.rest_microdollars, 0) // cost
    if needed <= left:
        return now + pace * min(needed, MOST_CALLS)
    each_day = day.limit_microdollars // cost
    nights = -(-(needed - left) // each_day) if each_day else MOST_DAYS
    if nights >= MOST_DAYS:
        return None
    last = needed - left - (nights - 1) * each_day
    return day.refresh_at + timedelta(days=nights - 1) + pace * min(last, MOST_CALLS)


def _rank(percent: int, count: int) -> int:
    """The index of the nearest rank among sorted values."""
    return max(-(-percent * count // 100) - 1, 0)
