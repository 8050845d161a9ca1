"""No call costs more than its bound, and a hold carries the answer that it says it carries."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from taor_budget import catalogue
from taor_budget.bound import rates_of
from taor_budget.pricing import Price, Rates, Tier, Usage, cost_microdollars

DATE = datetime(2026, 1, 1, tzinfo=UTC)
SHIPPED = catalogue.load().prices.all()

rates = st.integers(0, 50_000_000)
tiers = st.builds(Rates, rates, rates, rates, rates, rates)
odd_prices = st.builds(
    lambda first, second, third: Price("odd", DATE, (Tier(0, first), Tier(1000, second), Tier(50_000, third))),
    tiers,
    tiers,
    tiers,
)
prices = st.one_of(st.sampled_from(SHIPPED), odd_prices)
counts = st.integers(0, 120_000)


@given(price=prices, usage=st.builds(Usage, counts, counts, counts, counts, counts), room=st.integers(0, 100_000))
def test_no_usage_within_the_bound_costs_more(price: Price, usage: Usage, room: int) -> None:
    prompt_tokens = usage.prompt_tokens + room
    bound = rates_of(price, prompt_tokens).microdollars(prompt_tokens, usage.output_tokens + room)
    assert cost_microdollars(usage, price) <= bound


@given(price=prices, prompt_tokens=st.integers(1, 500_000), held=st.integers(0, 10_000_000))
def test_a_hold_carries_its_answer_and_not_one_token_more(price: Price, prompt_tokens: int, held: int) -> None:
    bound = rates_of(price, prompt_tokens)
    carried = bound.output_tokens(prompt_tokens, held)
    if carried >= 0:
        assert bound.microdollars(prompt_tokens, carried) <= held
    if bound.output:
        assert bound.microdollars(prompt_tokens, carried + 1) > held


@given(price=prices, prompt_tokens=st.integers(1, 500_000))
def test_the_rates_hold_up_to_the_size_that_they_name(price: Price, prompt_tokens: int) -> None:
    bound = rates_of(price, prompt_tokens)
    assert prompt_tokens <= bound.prompt_tokens_at_most
    if bound.prompt_tokens_at_most < 2**62:
        assert rates_of(price, bound.prompt_tokens_at_most) == bound
        assert rates_of(price, bound.prompt_tokens_at_most + 1).prompt_tokens_at_most > bound.prompt_tokens_at_most
