"""The tree keeps the rules of its style."""

import pytest

from tests.tidy.catalogue import CHAPTERS, Chapter, Rule

CASES = [(chapter, rule) for chapter in CHAPTERS for rule in chapter.rules]
NAMES = [f"{chapter.files.__name__}: {rule.__name__}" for chapter, rule in CASES]


@pytest.mark.parametrize(("chapter", "rule"), CASES, ids=NAMES)
def test_rule(chapter: Chapter, rule: Rule) -> None:
    found = [str(finding) for file in chapter.files() for finding in rule(file)]
    assert not found, f"{rule.__doc__}\n" + "\n".join(found)
