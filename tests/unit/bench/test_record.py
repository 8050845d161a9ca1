"""Turns are timed by the scripted model's record."""

import json
from pathlib import Path

from tests.bench.record import around, turn_milliseconds


def test_a_turn_lasts_until_the_next_request_of_the_same_build(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    times = [("one", 0.000), ("two", 0.001), ("one", 0.010), ("two", 0.500), ("one", 0.030)]
    lines = [json.dumps({"build": build, "time": f"2026-01-01T00:00:{at:09.6f}+00:00"}) for build, at in times]
    record.write_text("\n".join(lines))
    assert turn_milliseconds(record, "one") == [10.0, 20.0]


def test_around_a_turn_one_slow_turn_does_not_count() -> None:
    turns = [5.0] * 9 + [500.0] + [5.0] * 10
    assert around(turns, 10) == 5.0
    assert around(turns, 1) == 5.0
