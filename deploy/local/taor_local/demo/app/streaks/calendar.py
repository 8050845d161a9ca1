"""The counting: pure functions on dates, so that no test ever has to wait for midnight."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

DAY = timedelta(days=1)


def current_streak(days: Iterable[date], today: date) -> int:
    """How many days in a row the habit has been kept up."""
    kept = set(days)
    day = today
    length = 0
    while day in kept:
        length += 1
        day -= DAY
    return length


def longest_streak(days: Iterable[date]) -> int:
    """The best run there ever was."""
    kept = set(days)
    best = 0
    for first in (day for day in kept if day - DAY not in kept):
        length = 1
        while first + length * DAY in kept:
            length += 1
        best = max(best, length)
    return best


def window(today: date, length: int = 14) -> list[date]:
    """The days that the page shows, oldest first, today last."""
    return [today - back * DAY for back in range(length - 1, -1, -1)]
