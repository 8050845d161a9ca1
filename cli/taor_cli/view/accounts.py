"""What a user may spend, as a page and a table. Pure."""

from collections.abc import Iterable

from taor_cli.accounts import Account, Adjustment, Finish, Forecast, Grouping, UsageRow
from taor_cli.view.text import clock, dollars, printable, tokens

BAR_WIDTH = 30
NO_TOOL = "(no tool)"
_COLUMNS = "{:<36}  {:>6}  {:>8}  {:>8}  {:>8}  {:>10}  {:>10}"


def account_page(account: Account) -> tuple[str, ...]:
    """What a user may still spend, and until when."""
    facts = (
        ("user", f"{account.user_id} ({account.tier})"),
        ("today", f"{dollars(account.spent_microdollars)} of {dollars(account.limit_microdollars)}  {bar(account)}"),
        ("set aside", dollars(account.reserved_microdollars)),
        ("hard stop", dollars(account.hard_limit_microdollars)),
        ("refreshed", f"{clock(account.refresh_time)} (days of {account.time_zone})"),
        ("cycle", f"{dollars(account.cycle_remaining_microdollars)} left until {clock(account.cycle_end_time)}"),
    )
    return tuple(f"{name:<9}  {printable(value)}" for name, value in facts)


def bar(account: Account) -> str:
    """How much of the day is spent, as a bar with its percentage."""
    filled = min(account.percent * BAR_WIDTH // 100, BAR_WIDTH)
    return f"{'█' * filled}{'░' * (BAR_WIDTH - filled)} {account.percent} %"


def usage_table(rows: Iterable[UsageRow], grouping: Grouping) -> tuple[str, ...]:
    """One line per group under a heading; IN counts every prompt token, CACHED those of them read from the cache."""
    heading = _COLUMNS.format(grouping.name, "CALLS", "IN", "CACHED", "OUT", "UNKNOWN", "COST")
    return (heading, *map(_row, rows))


def forecast_lines(forecast: Forecast | None) -> tuple[str, ...]:
    """How a build may go on."""
    if forecast is None:
        return ("a forecast needs three calls",)
    p50, p90 = dollars(forecast.p50_call_microdollars), dollars(forecast.p90_call_microdollars)
    sleeps = clock(forecast.p50_sleep_time) or "not before the allowance is refreshed"
    return (
        f"a call costs {p50} (nine in ten at most {p90}); today's rest carries "
        f"{forecast.p50_calls_left} such calls ({forecast.p90_calls_left})",
        f"sleeps     {sleeps}",
        *_finish_lines(forecast),
    )


def _finish_lines(forecast: Forecast) -> tuple[str, ...]:
    likely, cautious = forecast.p50_finish, forecast.p90_finish
    if likely is None or cautious is None:
        return ("finishes   nobody knows: that needs three builds of its user that took more turns",)
    costs = f"{dollars(likely.microdollars)} more (nine in ten at most {dollars(cautious.microdollars)})"
    return (f"finishes   {_time_of(likely)}, after {costs}", f"at worst   {_time_of(cautious)}")


def _time_of(finish: Finish) -> str:
    return clock(finish.time) if finish.time else "never on this plan"


def adjustment_line(adjustment: Adjustment) -> str:
    """What a top-up or a change of plan has come to."""
    cycle, today = _signed(adjustment.cycle_delta_microdollars), _signed(adjustment.allowance_delta_microdollars)
    return f"{cycle} for the billing cycle, {today} for today"


def _row(row: UsageRow) -> str:
    return _COLUMNS.format(
        printable(row.group) or NO_TOOL,
        row.calls + row.charged_calls,
        tokens(row.prompt_tokens),
        tokens(row.cache_read_tokens),
        tokens(row.output_tokens),
        dollars(row.charged_microdollars) if row.charged_calls else "",
        dollars(row.cost_microdollars),
    )


def _signed(microdollars: int) -> str:
    return f"{'-' if microdollars < 0 else '+'}{dollars(abs(microdollars))}"
