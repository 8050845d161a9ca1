"""The days and billing cycles of an account: which ones an instant belongs to, and when they begin and end.

A day begins at the local midnight of the account's time zone, or at the end of the gap where a clock change skips
midnight. So days last 22 to 26 hours, and a date that a zone skipped altogether has no day. All instants are UTC and
only instants are compared; dates are names.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a billing cycle: the local date that names it, and the instants from which and until which it lasts."""

    key: date
    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


@dataclass(frozen=True, slots=True)
class Today:
    """Where an account stands at an instant: its day, its cycle, and the days left of the cycle, today included."""

    seen_at: datetime
    day: Period
    cycle: Period
    days_left: int


def today(instant: datetime, zone: ZoneInfo, anchor_day: int) -> Today:
    """Find the day and the cycle of an instant; a cycle renews on the anchor day, clamped to its month."""
    day = day_of(instant, zone)
    cycle = cycle_of(instant, zone, anchor_day)
    return Today(instant, day, cycle, _count_days(day.key, cycle, zone))


def day_of(instant: datetime, zone: ZoneInfo) -> Period:
    """The day that an instant belongs to."""
    key = instant.astimezone(zone).date()
    while start_of(key, zone) > instant:
        key -= _ONE_DAY
    while start_of(key + _ONE_DAY, zone) <= instant:
        key += _ONE_DAY
    return Period(key, start_of(key, zone), start_of(key + _ONE_DAY, zone))


def cycle_of(instant: datetime, zone: ZoneInfo, anchor_day: int) -> Period:
    """The billing cycle that an instant belongs to."""
    local = instant.astimezone(zone).date()
    starts = [_renewal(local.year, local.month + shift, anchor_day) for shift in (-1, 0, 1, 2)]
    first = max(index for index in (0, 1, 2) if start_of(starts[index], zone) <= instant)
    return Period(starts[first], start_of(starts[first], zone), start_of(starts[first + 1], zone))


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local date begins.

    Of a midnight that happens twice the first counts (fold 0); one that was skipped reads, with the offset before the
    gap, as the instant of the gap itself.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _renewal(year: int, month: int, anchor_day: int) -> date:
    """The anchor day in a month, counted beyond December and before January, clamped to the month's last day."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, min(anchor_day, calendar.monthrange(year, month)[1]))


def _count_days(first: date, cycle: Period, zone: ZoneInfo) -> int:
    """Days from this one to the end of the cycle; a date that the zone skipped has no length and does not count."""
    count, day = 0, first
    while start_of(day, zone) < cycle.end:
        count += start_of(day, zone) < start_of(day + _ONE_DAY, zone)
        day += _ONE_DAY
    return count
