"""An upper bound of what a model call can cost, and its inverse: the answer that a sum of money carries."""

from dataclasses import dataclass

from taor_budget.pricing import TOKENS_PER_MTOK, Price, round_up

UNBOUNDED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BoundRates:
    """The dearest rates that a prompt of up to `prompt_tokens_at_most` can meet, in microdollars per million tokens.

    A caller that knows the real bytes bounds them again with these.
    """

    prompt: int
    output: int
    prompt_tokens_at_most: int

    def microdollars(self, prompt_tokens: int, output_tokens: int) -> int:
        """No call with this prompt and this many output tokens costs more; rounded up once."""
        assert prompt_tokens <= self.prompt_tokens_at_most
        return round_up(prompt_tokens * self.prompt + output_tokens * self.output)

    def output_tokens(self, prompt_tokens: int, held_microdollars: int) -> int:
        """The most output tokens that this sum carries beside the prompt; below zero when not even the prompt fits."""
        left = held_microdollars * TOKENS_PER_MTOK - prompt_tokens * self.prompt
        if not self.output:
            return UNBOUNDED if left >= 0 else -1
        return left // self.output


def rates_of(price: Price, prompt_tokens: int) -> BoundRates:
    """The rates that bound a prompt of at most this size: it may turn out smaller, so every tier below counts."""
    within = [
        tier.rates for tier in price.tiers if tier.above_prompt_tokens == 0 or tier.above_prompt_tokens < prompt_tokens
    ]
    beyond = [tier.above_prompt_tokens for tier in price.tiers[len(within) :]]
    return BoundRates(
        prompt=max(rates.dearest_prompt for rates in within),
        output=max(rates.output for rates in within),
        prompt_tokens_at_most=beyond[0] if beyond else UNBOUNDED,
    )
