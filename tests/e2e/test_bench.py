"""The benchmarks run, on a real installation; how fast it is on the machine of a test is no finding."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = {"turn", "fleet", "ledger", "append", "exec", "watchers", "snapshot"}


def test_every_benchmark_measures_something_when_quick() -> None:
    command = (sys.executable, "-m", "tests.bench", "--quick", "--json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {figure["bench"] for figure in told["figures"]} == BENCHMARKS
    assert told["machine"]["fsync"] == "on"
    assert [figure["name"] for figure in told["figures"] if figure["target"] and figure["reached"] is None] == []


def test_an_unknown_benchmark_is_refused_before_anything_starts() -> None:
    command = (sys.executable, "-m", "tests.bench", "speed")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "known are turn, fleet, ledger, append, exec, watchers, snapshot" in done.stderr
