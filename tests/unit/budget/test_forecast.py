"""The outlook of a build: nearest ranks of what its calls cost, and the pace of what it did in a row."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_budget.forecast import PaidCall, forecast

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MIDNIGHT = NOON + timedelta(hours=12)


def calls(*microdollars: int, every_seconds: int = 60, epoch: int = 1) -> list[PaidCall]:
    """Calls at an even pace."""
    return [PaidCall(cost, NOON + timedelta(seconds=n * every_seconds), epoch) for n, cost in enumerate(microdollars)]


def test_the_quantiles_are_costs_that_were_paid() -> None:
    outlook = forecast(calls(50, 10, 40, 20, 30), 1_000, NOON, MIDNIGHT)
    assert outlook is not None
    assert (outlook.p50.call_microdollars, outlook.p90.call_microdollars) == (30, 50)
    assert (outlook.p50.calls_left, outlook.p90.calls_left) == (33, 20)


def test_the_next_sleep_comes_at_the_pace_of_the_build() -> None:
    outlook = forecast(calls(100, 100, 100), 600, NOON, MIDNIGHT)
    assert outlook is not None
    assert outlook.p50.sleep_at == NOON + timedelta(minutes=6)


def test_no_sleep_is_expected_when_the_day_ends_before_the_money() -> None:
    outlook = forecast(calls(1, 1, 1), 10**15, NOON, MIDNIGHT)
    assert outlook is not None
    assert outlook.p50.sleep_at is None


def test_a_night_between_two_calls_is_no_pace() -> None:
    evening, morning = calls(5, 5), [PaidCall(5, MIDNIGHT, 2), PaidCall(5, MIDNIGHT + timedelta(seconds=60), 2)]
    outlook = forecast([*evening, *morning], 50, NOON, MIDNIGHT)
    assert outlook is not None
    assert outlook.p50.sleep_at == NOON + timedelta(minutes=10)


@pytest.mark.parametrize("few", [0, 1, 2])
def test_few_calls_tell_nothing(few: int) -> None:
    assert forecast(calls(*[7] * few), 100, NOON, MIDNIGHT) is None


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=50), st.integers(-(10**12), 10**18))
def test_the_cautious_outlook_is_never_the_brighter_one(costs: list[int], rest: int) -> None:
    outlook = forecast(calls(*costs), rest, NOON, MIDNIGHT)
    assert outlook is not None
    assert outlook.p50.call_microdollars <= outlook.p90.call_microdollars
    assert outlook.p50.calls_left >= outlook.p90.calls_left >= 0
    assert sum(cost <= outlook.p90.call_microdollars for cost in costs) * 10 >= 9 * len(costs)
