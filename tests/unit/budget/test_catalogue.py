"""What is on offer, and how a configured file changes it."""

from pathlib import Path

import pytest

from taor_budget import catalogue
from taor_budget.errors import ModelNotAllowed, TierUnknown

OWN_PRICE = """
[[price]]
model = "qwen3:8b"
effective = 2026-01-01T00:00:00Z
rates = { input = 0, output = 0, cache_read = 0, cache_write_5m = 0, cache_write_1h = 0 }

[max_output_tokens]
"qwen3:8b" = 8192
"""
OWN_PLAN = """
[bootstrapper]
cycle_microdollars = 5_000_000
max_concurrent_builds = 2
priority = 1
models = ["qwen3:8b", "claude-haiku-5-5"]
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_shipped_plans_cover_the_three_tiers() -> None:
    plans = catalogue.load().plans.all()
    assert [plan.tier for plan in plans] == ["bootstrapper", "partner", "cto_scale"]
    assert [plan.max_concurrent_builds for plan in plans] == [1, 3, 10]
    assert sorted(plan.priority for plan in plans) == [plan.priority for plan in plans]


def test_a_plan_chooses_its_first_model_and_refuses_others() -> None:
    plan = catalogue.load().plans.of_tier("bootstrapper")
    assert plan.choose_model("") == plan.models[0]
    assert plan.choose_model(plan.models[1]) == plan.models[1]
    with pytest.raises(ModelNotAllowed, match="choose one of claude-sonnet-5-5, claude-haiku-5-5"):
        plan.choose_model("claude-fable-5-2")


def test_an_unknown_tier_names_the_known_ones() -> None:
    with pytest.raises(TierUnknown, match="bootstrapper, partner, cto_scale"):
        catalogue.load().plans.of_tier("free")


def test_configured_files_add_a_model_and_replace_a_plan(tmp_path: Path) -> None:
    offers = catalogue.load(written(tmp_path / "prices.toml", OWN_PRICE), written(tmp_path / "plans.toml", OWN_PLAN))
    assert offers.plans.of_tier("bootstrapper").models == ("qwen3:8b", "claude-haiku-5-5")
    assert offers.max_output_tokens["qwen3:8b"] == 8192
    assert len(offers.prices.of_model("claude-sonnet-5-5")) == 2


@pytest.mark.parametrize(
    ("prices", "plans", "complaint"),
    [
        ("", OWN_PLAN, "qwen3:8b has no price"),
        (OWN_PRICE.split("[max")[0], OWN_PLAN, "qwen3:8b has no max_output_tokens"),
        (OWN_PRICE.replace("input = 0", "input = -1"), "", "not below zero"),
        (OWN_PRICE.replace("input = 0", "input = 0.1"), "", "whole microdollars"),
        (OWN_PRICE.replace("input = 0", "inputs = 0"), "", "price of qwen3:8b"),
        (OWN_PRICE.replace("effective", "from"), "", "effective"),
        ("", OWN_PLAN.replace("priority", "rank"), "plan bootstrapper: 'priority'"),
        ("", OWN_PLAN.replace("= 2", "= 0"), "plan bootstrapper"),
        ("not toml", "", "prices.toml"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, prices: str, plans: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        catalogue.load(written(tmp_path / "prices.toml", prices), written(tmp_path / "plans.toml", plans))
