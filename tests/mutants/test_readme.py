"""The table of the README names bugs that are planted."""

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_bug_that_the_readme_names_is_planted() -> None:
    planted = "".join(path.read_text() for path in HERE.glob("*/test_*.py"))
    named = re.findall(r'"([^"…][^"]*)"', (HERE / "README.md").read_text())
    assert len(named) > 20
    assert [bug for bug in named if f'"{bug}"' not in planted] == []
