"""The outlook of a build: nearest ranks of what its calls cost, and the pace of what it did in a row."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_budget.forecast import Day, Finish, PaidCall, forecast

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MIDNIGHT = NOON + timedelta(hours=12)


def calls(*microdollars: int, every_seconds: int = 60, epoch: int = 1) -> list[PaidCall]:
    """Calls at an even pace."""
    return [PaidCall(cost, NOON + timedelta(seconds=n * every_seconds), epoch) for n, cost in enumerate(microdollars)]


def day(rest: int, *, limit: int = 10**15) -> Day:
    """A day that ends at midnight."""
    return Day(limit, rest, MIDNIGHT)


def test_the_quantiles_are_costs_that_were_paid() -> None:
    outlook = forecast(calls(50, 10, 40, 20, 30), day(1_000), NOON)
    assert outlook is not None
    assert (outlook.p50.call_microdollars, outlook.p90.call_microdollars) == (30, 50)
    assert (outlook.p50.calls_left, outlook.p90.calls_left) == (33, 20)


def test_the_next_sleep_comes_at_the_pace_of_the_build() -> None:
    outlook = forecast(calls(100, 100, 100), day(600), NOON)
    assert outlook is not None
    assert outlook.p50.sleep_at == NOON + timedelta(minutes=6)


def test_when_today_carries_no_call_the_next_sleep_is_that_of_tomorrow() -> None:
    outlook = forecast(calls(100, 100, 100), day(99, limit=500), NOON)
    assert outlook is not None
    assert outlook.p50.sleep_at == MIDNIGHT + timedelta(minutes=5)


def test_no_sleep_is_expected_when_the_day_ends_before_the_money() -> None:
    outlook = forecast(calls(1, 1, 1), day(10**15), NOON)
    assert outlook is not None
    assert outlook.p50.sleep_at is None


def test_a_night_between_two_calls_is_no_pace() -> None:
    evening, morning = calls(5, 5), [PaidCall(5, MIDNIGHT, 2), PaidCall(5, MIDNIGHT + timedelta(seconds=60), 2)]
    outlook = forecast([*evening, *morning], day(50), NOON)
    assert outlook is not None
    assert outlook.p50.sleep_at == NOON + timedelta(minutes=10)


@pytest.mark.parametrize("few", [0, 1, 2])
def test_few_calls_tell_nothing(few: int) -> None:
    assert forecast(calls(*[7] * few), day(100), NOON) is None


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=50), st.integers(-(10**12), 10**18))
def test_the_cautious_outlook_is_never_the_brighter_one(costs: list[int], rest: int) -> None:
    outlook = forecast(calls(*costs), day(rest), NOON)
    assert outlook is not None
    assert outlook.p50.call_microdollars <= outlook.p90.call_microdollars
    assert outlook.p50.calls_left >= outlook.p90.calls_left >= 0
    assert sum(cost <= outlook.p90.call_microdollars for cost in costs) * 10 >= 9 * len(costs)


def finish(*, rest: int, limit: int, made: int, finished: list[int]) -> tuple[Finish | None, Finish | None]:
    """When a build of calls that cost 100 each, one a minute, is done."""
    outlook = forecast(calls(100, 100, 100), day(rest, limit=limit), NOON, made, finished)
    assert outlook is not None
    return outlook.p50.finish, outlook.p90.finish


def test_a_build_is_as_long_as_the_longer_ones_that_are_finished() -> None:
    p50, p90 = finish(rest=10_000, limit=10_000, made=10, finished=[5, 10, 15, 20, 25, 30, 35])
    assert p50 == Finish(15 * 100, NOON + timedelta(minutes=15))
    assert p90 == Finish(25 * 100, NOON + timedelta(minutes=25))


def test_a_build_sleeps_through_the_nights_before_its_end() -> None:
    """Two calls today, three on each day after: the eight calls end with the third of the second day after."""
    p50, _ = finish(rest=250, limit=300, made=2, finished=[10, 10, 10])
    assert p50 == Finish(800, MIDNIGHT + timedelta(days=1, minutes=3))


def test_an_end_that_no_day_can_pay_has_no_time() -> None:
    p50, _ = finish(rest=50, limit=99, made=2, finished=[10, 10, 10])
    assert p50 == Finish(800, None)


def test_without_longer_builds_nobody_knows_the_end() -> None:
    assert finish(rest=10_000, limit=10_000, made=10, finished=[1, 2, 10, 11, 12]) == (None, None)


@given(
    st.lists(st.integers(0, 10**9), min_size=3, max_size=20),
    st.integers(-(10**9), 10**12),
    st.integers(0, 10**12),
    st.lists(st.integers(0, 10**4), max_size=30),
)
def test_the_cautious_end_is_never_the_earlier_one(
    costs: list[int], rest: int, limit: int, finished: list[int]
) -> None:
    outlook = forecast(calls(*costs), day(rest, limit=limit), NOON, len(costs), finished)
    assert outlook is not None
    likely, cautious = outlook.p50.finish, outlook.p90.finish
    if likely is None or cautious is None:
        assert likely is cautious
        return
    assert likely.microdollars <= cautious.microdollars
    if cautious.at is not None:
        assert likely.at is not None
        assert likely.at <= cautious.at
