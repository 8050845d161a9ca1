"""The catalogue: which plans and prices are on offer, read from the data of this package and from configured files."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from taor_budget.plans import Plan, Plans
from taor_budget.pricing import Price, PriceTable, Rates, Tier


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything on offer; every model of a plan has a price and a limit of its output."""

    plans: Plans
    prices: PriceTable
    max_output_tokens: Mapping[str, int]


def load(extra_prices: Path | None = None, extra_plans: Path | None = None) -> Catalogue:
    """Read the shipped catalogue; a configured file adds prices, and adds plans or replaces them by tier.

    Raises ValueError that says what is wrong, and OSError for a file that cannot be read.
    """
    data = files("taor_budget") / "data"
    prices = [tomllib.loads((data / "prices.toml").read_text("utf-8")), _read(extra_prices)]
    plans = tomllib.loads((data / "plans.toml").read_text("utf-8")) | _read(extra_plans)
    return _checked(
        Catalogue(
            Plans(_plan(tier, plan) for tier, plan in plans.items()),
            PriceTable(_price(price) for source in prices for price in source.get("price", ())),
            {model: limit for source in prices for model, limit in source.get("max_output_tokens", {}).items()},
        )
    )


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error


def _checked(catalogue: Catalogue) -> Catalogue:
    for plan in catalogue.plans.all():
        for model in plan.models:
            if not catalogue.prices.of_model(model):
                raise ValueError(f"plan {plan.tier}: the model {model} has no price")
            if catalogue.max_output_tokens.get(model, 0) < 1:
                raise ValueError(f"plan {plan.tier}: the model {model} has no max_output_tokens")
    return catalogue


def _plan(tier: str, entry: Mapping[str, Any]) -> Plan:
    try:
        return Plan(
            tier=tier,
            models=tuple(entry["models"]),
            max_concurrent_builds=entry["max_concurrent_builds"],
            priority=entry["priority"],
            cycle_microdollars=entry["cycle_microdollars"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"plan {tier}: {error} is missing or malformed") from error


def _price(entry: Mapping[str, Any]) -> Price:
    try:
        tiers = ({"above_prompt_tokens": 0, "rates": entry["rates"]}, *entry.get("larger", ()))
        return Price(
            model=entry["model"],
            effective_at=entry["effective"],
            tiers=tuple(Tier(tier["above_prompt_tokens"], _rates(tier["rates"])) for tier in tiers),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"price of {entry.get('model', 'a model')}: {error} is missing or malformed") from error


def _rates(entry: Mapping[str, int]) -> Rates:
    if any(not isinstance(rate, int) or rate < 0 for rate in entry.values()):
        raise ValueError("rates are whole microdollars per million tokens, not below zero")
    return Rates(**entry)
