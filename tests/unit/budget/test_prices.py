"""The price table against an independent one: the package genai-prices knows the same models."""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taor_budget import catalogue
from taor_budget.pricing import Price, PriceTable, Rates, Tier, Usage, cost_microdollars

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MODELS = ("claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
TABLE = catalogue.load().prices

counts = st.one_of(st.integers(0, 200), st.integers(0, 300_000))
usages = st.builds(Usage, counts, counts, counts, counts, counts)


def independent_cost_microdollars(usage: Usage, model: str) -> int:
    """What the other package makes of it; it counts every prompt token as input and rounds nowhere."""
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    theirs = genai_prices.Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=written,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
    )
    price = genai_prices.calc_price(theirs, model, provider_id="anthropic", genai_request_timestamp=NOW)
    return int((price.total_price * 1_000_000).to_integral_value(ROUND_CEILING))


@pytest.mark.parametrize("model", MODELS)
@given(usage=usages)
@settings(max_examples=600, deadline=None)
def test_every_usage_costs_what_an_independent_package_says(model: str, usage: Usage) -> None:
    quote = TABLE.quote(model, NOW)
    assert quote is not None
    assert cost_microdollars(usage, quote.price) == independent_cost_microdollars(usage, model)


def test_a_call_is_priced_by_the_time_of_its_start() -> None:
    change = datetime(2026, 10, 7, tzinfo=UTC)
    before = TABLE.quote("claude-sonnet-5-5", datetime(2026, 10, 6, 23, 59, 59, 999_999, UTC))
    after = TABLE.quote("claude-sonnet-5-5", change)
    assert before is not None
    assert after is not None
    assert (before.until, after.since) == (change, change)
    read = Usage(0, 0, cache_read_tokens=1_000_000)
    assert cost_microdollars(read, before.price) == 200_000
    assert cost_microdollars(read, after.price) == 100_000


@pytest.mark.parametrize("model", ["claude-opus-9", ""])
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert TABLE.quote(model, NOW) is None


def test_a_model_has_no_price_before_its_first() -> None:
    assert TABLE.quote("claude-opus-5-5", datetime(2026, 6, 30, tzinfo=UTC)) is None


@pytest.mark.parametrize(("prompt_tokens", "rate"), [(100_000, 100_000), (100_001, 500_000)])
def test_a_larger_prompt_is_dearer_from_the_first_token_beyond(prompt_tokens: int, rate: int) -> None:
    quote = TABLE.quote("claude-haiku-5-5", NOW)
    assert quote is not None
    usage = Usage(input_tokens=1, output_tokens=0, cache_read_tokens=prompt_tokens - 1)
    assert quote.price.rates_for(usage.prompt_tokens).input == rate


@given(usage=usages)
@settings(deadline=None)
def test_a_call_is_rounded_once(usage: Usage) -> None:
    """Rounded up by less than one microdollar, whatever it consists of."""
    quote = TABLE.quote("claude-sonnet-5-5", NOW)
    assert quote is not None
    rates = quote.price.rates_for(usage.prompt_tokens)
    exact = Decimal(
        usage.input_tokens * rates.input
        + usage.output_tokens * rates.output
        + usage.cache_read_tokens * rates.cache_read
        + usage.cache_write_5m_tokens * rates.cache_write_5m
        + usage.cache_write_1h_tokens * rates.cache_write_1h
    )
    assert 0 <= cost_microdollars(usage, quote.price) - exact / 1_000_000 < 1


RATES = Rates(1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("effective_at", "tiers"),
    [
        (datetime(2026, 1, 1), (Tier(0, RATES),)),  # noqa: DTZ001 the missing zone is the point
        (NOW, ()),
        (NOW, (Tier(10, RATES),)),
        (NOW, (Tier(0, RATES), Tier(10, RATES), Tier(10, RATES))),
    ],
)
def test_a_price_that_cannot_be_meant_is_refused(effective_at: datetime, tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="price of m"):
        Price("m", effective_at, tiers)


def test_two_prices_of_a_model_cannot_begin_together() -> None:
    with pytest.raises(ValueError, match="two prices of m begin"):
        PriceTable([Price("m", NOW, (Tier(0, RATES),)), Price("m", NOW, (Tier(0, RATES),))])
