"""Opt-in tests are left out of a plain run, named at its end, and run when asked for."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tidy.source import ROOT

EXAMPLE = """
import pytest

@pytest.mark.optin("a key")
def test_special():
    assert False

def test_plain():
    pass
"""


def run(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on the example, with nothing but the plugin."""
    (folder / "test_example.py").write_text(EXAMPLE)
    command = (sys.executable, "-m", "pytest", "-p", "tests.support.optin", "-p", "no:cacheprovider", *options)
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        (*command, "--rootdir", str(folder), str(folder)), cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_plain_run_leaves_it_out_and_names_it(tmp_path: Path) -> None:
    result = run(tmp_path, TAOR_TEST_OPTIN_REPORT="")
    assert result.returncode == 0
    assert "1 passed, 1 deselected" in result.stdout
    assert "test_example.py::test_special: a key" in result.stdout


def test_several_runs_share_one_list(tmp_path: Path) -> None:
    report = tmp_path / "report"
    for _ in range(2):
        run(tmp_path, TAOR_TEST_OPTIN_REPORT=str(report))
    assert report.read_text() == "test_example.py::test_special: a key\n" * 2


def test_it_runs_when_asked_for(tmp_path: Path) -> None:
    result = run(tmp_path, "--optin")
    assert result.returncode == 1
    assert "1 failed, 1 passed" in result.stdout
