"""The record of what was billed: complete, and bounded."""

from __future__ import annotations

from pathlib import Path

import orjson

from taor_model_simulator.record import Line, Record


def line(number: int) -> Line:
    return Line(
        time="2026-03-01T00:00:00+00:00",
        request_id=f"req_{number}",
        request_sha256="0" * 64,
        model="m",
        script="s",
        step=number,
        build="",
        user_id="",
        status=200,
        fault="",
        billed=False,
        usage=None,
    )


def steps(path: Path) -> list[int]:
    return [orjson.loads(each)["step"] for each in path.read_bytes().splitlines()]


def test_lines_are_there_at_once_and_a_new_start_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run" / "billed.jsonl"
    for number in range(2):
        record = Record(path)
        record.add(line(number))
        assert steps(path)[-1] == number
        record.close()
    assert steps(path) == [0, 1]


def test_a_full_file_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "billed.jsonl"
    record = Record(path, max_bytes=1000)
    for number in range(12):
        record.add(line(number))
    record.close()
    kept = steps(tmp_path / "billed.jsonl.1") + steps(path)
    assert kept == list(range(kept[0], 12))
    assert len(kept) >= 4
    assert path.stat().st_size <= 1000
