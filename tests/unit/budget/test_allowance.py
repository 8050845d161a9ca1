"""Days and billing cycles tile the time of every account, whatever its clocks do."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_budget.allowance import cycle_of, day_of, start_of, today

ODD_ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # clocks go back from 01:00 to midnight: it happens twice
    "America/Asuncion",  # clocks went forward at midnight: it did not happen
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # a date that did not happen
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "Antarctica/Troll",  # two hours
)
zones = st.one_of(st.sampled_from(ODD_ZONES), st.sampled_from(sorted(zoneinfo.available_timezones()))).map(ZoneInfo)
instants = st.datetimes(datetime(1995, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 hypothesis adds it
anchors = st.integers(1, 31)


@given(instant=instants, zone=zones)
def test_days_tile_time(instant: datetime, zone: ZoneInfo) -> None:
    day = day_of(instant, zone)
    assert instant in day
    assert day_of(day.end, zone).start == day.end
    assert day_of(day.end - timedelta(microseconds=1), zone) == day
    assert timedelta(hours=21) <= day.end - day.start <= timedelta(hours=27)


@given(instant=instants, zone=zones, anchor_day=anchors)
def test_cycles_tile_time_and_consist_of_whole_days(instant: datetime, zone: ZoneInfo, anchor_day: int) -> None:
    here = today(instant, zone, anchor_day)
    assert instant in here.cycle
    assert here.cycle.start <= here.day.start < here.day.end <= here.cycle.end
    following = cycle_of(here.cycle.end, zone, anchor_day)
    assert following.start == here.cycle.end
    assert timedelta(days=26) < following.end - following.start < timedelta(days=33)


@given(instant=instants, zone=zones, anchor_day=anchors)
def test_the_days_left_are_the_days_that_come(instant: datetime, zone: ZoneInfo, anchor_day: int) -> None:
    here = today(instant, zone, anchor_day)
    day = here.day
    count = 1
    while day.end < here.cycle.end:
        day = day_of(day.end, zone)
        count += 1
    assert here.days_left == count


@pytest.mark.parametrize(
    ("anchor_day", "starts"),
    [
        (31, [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]),
        (30, [date(2027, 1, 30), date(2027, 2, 28), date(2027, 3, 30), date(2027, 4, 30)]),
        (29, [date(2028, 1, 29), date(2028, 2, 29), date(2028, 3, 29), date(2028, 4, 29)]),
        (1, [date(2027, 12, 1), date(2028, 1, 1), date(2028, 2, 1), date(2028, 3, 1)]),
    ],
)
def test_a_renewal_is_clamped_to_its_month_and_comes_back_to_its_anchor(anchor_day: int, starts: list[date]) -> None:
    zone = ZoneInfo("Europe/Berlin")
    cycle = cycle_of(start_of(starts[0], zone), zone, anchor_day)
    found = [cycle.key]
    while len(found) < len(starts):
        cycle = cycle_of(cycle.end, zone, anchor_day)
        found.append(cycle.key)
    assert found == starts


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Antarctica/Troll", date(2026, 3, 29), 22),
        ("Antarctica/Troll", date(2026, 10, 25), 26),
    ],
)
def test_days_have_the_length_that_the_clocks_give_them(zone: str, day: date, hours: float) -> None:
    found = day_of(start_of(day, ZoneInfo(zone)), ZoneInfo(zone))
    assert found.key == day
    assert found.end - found.start == timedelta(hours=hours)


def test_a_missing_midnight_begins_the_day_at_the_end_of_the_gap() -> None:
    assert start_of(date(2026, 3, 29), ZoneInfo("Asia/Beirut")).astimezone(ZoneInfo("Asia/Beirut")).hour == 1


def test_a_date_that_did_not_happen_is_no_day() -> None:
    apia = ZoneInfo("Pacific/Apia")
    eve = day_of(start_of(date(2011, 12, 29), apia), apia)
    assert day_of(eve.end, apia).key == date(2011, 12, 31)
    assert today(eve.start, apia, 1).days_left == 2  # the 29th and the 31st
