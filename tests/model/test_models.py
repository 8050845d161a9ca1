"""The protocol over all interleavings: it holds with all rules, and without each of them something breaks."""

from enum import StrEnum
from typing import Any

import pytest

from tests.model.experiments import EXPERIMENTS
from tests.model.explorer import Findings

SMALL = [(name, size) for name, each in EXPERIMENTS.items() for size in each.sizes["small"]]
RULES = [(name, rule) for name, each in EXPERIMENTS.items() for rule in each.rules]
SECOND_WALLS = [(name, rule) for name, rule in RULES if EXPERIMENTS[name].witnesses[rule].behind]


def _named(value: object) -> str:
    return value.name.lower() if isinstance(value, StrEnum) else str(value)


def _told(findings: Findings) -> dict[str, str]:
    """What broke, and how, for the reader of a failure."""
    return {promise.value: " > ".join(trace) for promise, trace in findings.traces.items()}


@pytest.mark.parametrize(("name", "size"), SMALL, ids=_named)
def test_every_promise_holds_in_every_state(name: str, size: Any) -> None:
    findings = EXPERIMENTS[name].with_all_rules(size)

    assert not _told(findings)
    assert findings.is_complete
    assert findings.states > 1_000, "so few states prove nothing"


@pytest.mark.parametrize(("name", "rule"), RULES, ids=_named)
def test_without_the_rule_its_promise_breaks(name: str, rule: StrEnum) -> None:
    experiment = EXPERIMENTS[name]

    assert experiment.witnesses[rule].breaks in experiment.without(rule).traces


@pytest.mark.parametrize(("name", "rule"), SECOND_WALLS, ids=_named)
def test_a_second_wall_holds_alone(name: str, rule: StrEnum) -> None:
    experiment = EXPERIMENTS[name]
    findings = experiment.without_the_first_wall(rule)

    assert findings.is_complete
    assert experiment.witnesses[rule].breaks not in _told(findings)
