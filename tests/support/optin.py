"""Tests that need what not every machine has are marked `@pytest.mark.optin("what it needs")` and run with --optin.

They are no skipped tests: a plain run does not collect them, and says at its end which they were and what they need.
"""

import os
from pathlib import Path

import pytest

LEFT_OUT = pytest.StashKey[list[str]]()
REPORT = "TAOR_TEST_OPTIN_REPORT"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --optin."""
    parser.addoption("--optin", action="store_true", help="also run the tests that need something special")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "optin(needs): runs with --optin only; says what it needs")
    config.stash[LEFT_OUT] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not opted in, and remember it."""
    if config.getoption("--optin"):
        return
    left_out = [item for item in items if item.get_closest_marker("optin")]
    items[:] = [item for item in items if not item.get_closest_marker("optin")]
    config.stash[LEFT_OUT] += [f"{item.nodeid}: {_needs(item)}" for item in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out; `./taor test` gathers it over all its runs."""
    left_out = config.stash[LEFT_OUT]
    if left_out and (report := os.environ.get(REPORT)):
        with Path(report).open("a") as file:
            file.writelines(f"{line}\n" for line in left_out)
    elif left_out:
        terminalreporter.section("opt-in tests (--optin)")
        for line in left_out:
            terminalreporter.write_line(line)


def _needs(item: pytest.Item) -> str:
    marker = item.get_closest_marker("optin")
    assert marker is not None
    return str(marker.args[0])
