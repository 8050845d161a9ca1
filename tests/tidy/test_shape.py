"""What the code looks like from far away: short functions, and a page of introduction for every part."""

import statistics

import pytest

from tests.tidy.rules.sizes import functions, length
from tests.tidy.source import ROOT, product_code

MEDIAN_LINES = 9
NINE_IN_TEN_LINES = 28
MAX_README_LINES = 80

PARTS = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for pattern in ("services/*/pyproject.toml", "deploy/simulators/*/pyproject.toml", "protos/pyproject.toml")
    for path in ROOT.glob(pattern)
)


def test_most_functions_are_short() -> None:
    lengths = sorted(length(function) for source in product_code() for function in functions(source))
    assert statistics.median(lengths) <= MEDIAN_LINES
    assert lengths[len(lengths) * 9 // 10] <= NINE_IN_TEN_LINES


@pytest.mark.parametrize("part", PARTS)
def test_every_part_introduces_itself(part: str) -> None:
    lines = (ROOT / part / "README.md").read_text("utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert 5 <= len(lines) <= MAX_README_LINES, "a page at most: what it is, where to look, how it is proved"


def test_decisions_are_numbered_without_gap() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:5] for path in decisions] == [f"{number:04}-" for number in range(1, len(decisions) + 1)]
