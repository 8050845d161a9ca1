"""Counts the planted bugs: how many there are in each service, how many were caught, and which were not."""

import re
from collections import defaultdict
from collections.abc import Mapping

import pytest

# A bug may be caught by several tests; it is one bug of its service all the same, and each of them has to catch it.
PLANTED = re.compile(r"tests/mutants/(?P<service>\w+)/.*\[(?P<bug>.+)\]$")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say caught / planted, service by service; `pytest` itself names what was not caught."""
    is_caught: dict[str, dict[str, bool]] = defaultdict(dict)
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            if planted := PLANTED.search(report.nodeid):
                bugs = is_caught[planted["service"]]
                bugs[planted["bug"]] = bugs.get(planted["bug"], True) and outcome == "passed"
    for service, bugs in sorted(is_caught.items()):
        terminalreporter.write_line(f"mutants of {service}: {_told(bugs)}")
        for bug in (bug for bug, caught in sorted(bugs.items()) if not caught):
            terminalreporter.write_line(f"    not caught: {bug}")
    everywhere = {f"{service}: {bug}": caught for service, bugs in is_caught.items() for bug, caught in bugs.items()}
    terminalreporter.write_line(f"mutants in all: {_told(everywhere)}")


def _told(bugs: Mapping[str, bool]) -> str:
    return f"{sum(bugs.values())} caught / {len(bugs)} planted"
