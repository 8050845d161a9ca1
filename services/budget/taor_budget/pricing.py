"""What a model call costs: dated prices with tiers by prompt size, and one rounding per call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

TOKENS_PER_MTOK = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one model call, as the provider reported them; the four kinds of prompt tokens do not overlap."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, however it was served: its size selects the tier."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens


@dataclass(frozen=True, slots=True)
class Rates:
    """Microdollars per million tokens, by kind of token."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int

    @property
    def dearest_prompt(self) -> int:
        """The most that a prompt token can cost."""
        return max(self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h)


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for every token of a call whose prompt is larger than this size."""

    above_prompt_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model from a date on; its tiers ascend, and the first is for all prompts."""

    model: str
    effective_at: datetime
    tiers: tuple[Tier, ...]
    price_id: str = field(init=False)
    """The name that a reservation keeps; a price never changes, it is followed by another."""

    def __post_init__(self) -> None:
        if self.effective_at.tzinfo is None:
            raise ValueError(f"price of {self.model}: the date needs a time zone")
        if not self.tiers or self.tiers[0].above_prompt_tokens != 0:
            raise ValueError(f"price of {self.model}: the first tier must be for all prompts")
        if any(low.above_prompt_tokens >= high.above_prompt_tokens for low, high in pairwise(self.tiers)):
            raise ValueError(f"price of {self.model}: the tiers must ascend")
        name = f"{self.model}@{self.effective_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        object.__setattr__(self, "price_id", name)  # made once: every call asks for it several times

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates of a call whose prompt has this size."""
        return [
            tier.rates
            for tier in self.tiers
            if tier.above_prompt_tokens == 0 or prompt_tokens > tier.above_prompt_tokens
        ][-1]


def cost_microdollars(usage: Usage, price: Price) -> int:
    """What the usage costs, rounded up once: a cache read alone costs a fraction of a microdollar per token."""
    rates = price.rates_for(usage.prompt_tokens)
    return round_up(
        usage.input_tokens * rates.input
        + usage.output_tokens * rates.output
        + usage.cache_read_tokens * rates.cache_read
        + usage.cache_write_5m_tokens * rates.cache_write_5m
        + usage.cache_write_1h_tokens * rates.cache_write_1h
    )


def round_up(microdollars_times_mtok: int) -> int:
    """The one rounding of a call, from tokens times rates to whole microdollars."""
    return -(-microdollars_times_mtok // TOKENS_PER_MTOK)


@dataclass(frozen=True, slots=True)
class Quote:
    """A price together with the span in which a call has to start for it; no end means: not yet known."""

    price: Price
    until: datetime | None

    @property
    def since(self) -> datetime:
        """From when the price counts."""
        return self.price.effective_at


class PriceTable:
    """Every price there is; two prices of one model never begin at the same time."""

    def __init__(self, prices: Iterable[Price]) -> None:
        ordered = sorted(prices, key=lambda price: (price.model, price.effective_at))
        self._by_model: Mapping[str, tuple[Price, ...]] = {
            model: tuple(price for price in ordered if price.model == model) for model in {p.model for p in ordered}
        }
        for earlier, later in pairwise(ordered):
            if (earlier.model, earlier.effective_at) == (later.model, later.effective_at):
                raise ValueError(f"two prices of {later.model} begin at {later.effective_at.isoformat()}")

    def of_model(self, model: str) -> tuple[Price, ...]:
        """The prices of a model, oldest first; empty for an unknown one."""
        return self._by_model.get(model, ())

    def quote(self, model: str, instant: datetime) -> Quote | None:
        """The price of a call that starts at this instant, or None: then nothing may be spent."""
        begun = [price for price in self.of_model(model) if price.effective_at <= instant]
        later = [price for price in self.of_model(model) if price.effective_at > instant]
        return Quote(begun[-1], later[0].effective_at if later else None) if begun else None

    def all(self) -> tuple[Price, ...]:
        """Every price, by model and time."""
        return tuple(price for model in sorted(self._by_model) for price in self._by_model[model])
