"""What a user may spend as people read it, and amounts as they write them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from taor_cli.accounts import Account, Adjustment, Finish, Forecast, Grouping, UsageRow
from taor_cli.commands.money import microdollars_of
from taor_cli.exits import UsageError
from taor_cli.view.accounts import account_page, adjustment_line, bar, forecast_lines, usage_table

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ACCOUNT = Account("ada", "partner", "UTC", 4_000_000, 4_400_000, 1_000_000, 200_000, NOON, 98_000_000, NOON)


@pytest.mark.parametrize(
    ("written", "microdollars"), [("5", 5_000_000), ("12.50", 12_500_000), ("0.000001", 1), ("1e2", 100_000_000)]
)
def test_an_amount_is_exact(written: str, microdollars: int) -> None:
    assert microdollars_of(written) == microdollars


@pytest.mark.parametrize("written", ["", "five", "$5", "0", "-1", "0.0000001", "nan", "inf", "5,00"])
def test_what_is_no_amount_is_refused(written: str) -> None:
    with pytest.raises(UsageError):
        microdollars_of(written)


@pytest.mark.parametrize(("spent", "filled", "percent"), [(0, 0, 0), (1_000_000, 7, 25), (4_400_000, 30, 110)])
def test_the_bar_is_as_long_as_the_share(spent: int, filled: int, percent: int) -> None:
    drawn = bar(replace(ACCOUNT, spent_microdollars=spent))
    assert drawn.count("█") == filled
    assert drawn.count("█") + drawn.count("░") == 30
    assert drawn.endswith(f" {percent} %")


def test_a_day_without_an_allowance_has_a_bar_too() -> None:
    assert "0 %" in bar(replace(ACCOUNT, limit_microdollars=0, spent_microdollars=0))


def test_the_page_tells_what_is_left() -> None:
    page = "\n".join(account_page(ACCOUNT))
    assert "ada (partner)" in page
    assert "$1.0000 of $4.0000" in page
    assert "$98.00 left" in page


def test_usage_is_a_table() -> None:
    rows = [UsageRow("2026-11-25", 3, 12_000, 9_000, 800, 1, 5_000, 42_000)]
    heading, line = usage_table(rows, Grouping.DAY)
    assert heading.split() == ["DAY", "CALLS", "IN", "CACHED", "OUT", "UNKNOWN", "COST"]
    assert line.split() == ["2026-11-25", "4", "12.0k", "9.0k", "800", "$0.0050", "$0.0420"]


def test_a_forecast_says_when_the_build_sleeps() -> None:
    assert "three calls" in forecast_lines(None)[0]
    first, second, third = forecast_lines(Forecast(10_000, 20_000, 30, 15, None, NOON))
    assert "30 such calls (15)" in first
    assert "not before" in second
    assert "nobody knows" in third


def test_a_forecast_says_when_the_build_is_done() -> None:
    ends = Finish(1_500_000, NOON), Finish(4_000_000, None)
    *_, likely, cautious = forecast_lines(Forecast(10_000, 20_000, 30, 15, None, NOON, *ends))
    assert "$1.5000 more (nine in ten at most $4.0000)" in likely
    assert "never on this plan" in cautious


def test_an_adjustment_tells_both_changes() -> None:
    made = Adjustment("id", "PLAN_CHANGE", "partner", "bootstrapper", -90_000_000, -3_000_000, 0, NOON)
    assert adjustment_line(made) == "-$90.00 for the billing cycle, -$3.0000 for today"
