"""A figure meets its target or not, and says so; the table and the JSON tell the same."""

import json

import pytest

from tests.bench.figures import Figure, Reference, Target, at_least, at_most
from tests.bench.machine import Machine
from tests.bench.report import as_json, as_table

MACHINE = Machine(cores=2, memory_gib=8.0, load=0.5, python="3.11", file_system="ext4", fsync="on")
FLOOR = Reference("floor", 4.0)


@pytest.mark.parametrize(
    ("value", "reference", "target", "reached"),
    [
        (6.0, FLOOR, at_most(1.5), True),
        (6.1, FLOOR, at_most(1.5), False),
        (100.0, None, at_most(100), True),
        (100.1, None, at_most(100), False),
        (300.0, None, at_least(300), True),
        (299.9, None, at_least(300), False),
        (1.0, Reference("nothing", 0.0), at_most(1.5), False),
        (1.0, FLOOR, None, None),
    ],
)
def test_a_target_bounds_the_ratio_or_else_the_figure(
    value: float, reference: Reference | None, target: Target | None, reached: bool | None
) -> None:
    assert Figure("turn", "wall", value, "ms", reference, target).reached is reached


def test_the_table_has_a_line_for_each_figure() -> None:
    figures = [
        Figure("turn", "wall per turn", 7.0, "ms", FLOOR, at_most(1.5)),
        Figure("turn", "CPU", 3.25, "ms"),
        Figure("fleet", "wall", 33.0, "s", Reference("ideal", 30.0), at_most(1.25)),
    ]
    lines = [" ".join(line.split()) for line in as_table(figures, MACHINE, 61.2).splitlines()]
    assert "wall per turn 7.00 ms floor 4.00 1.75 × ≤ 1.5 ✗" in lines
    assert "CPU 3.25 ms" in lines
    assert "wall 33.0 s ideal 30.0 1.10 × ≤ 1.25 ✓" in lines
    assert [line for line in lines if line in ("turn", "fleet")] == ["turn", "fleet"]


def test_the_json_tells_the_same() -> None:
    told = json.loads(as_json([Figure("turn", "wall per turn", 7.0, "ms", FLOOR, at_most(1.5))], MACHINE, 61.2))
    assert told["machine"]["fsync"] == "on"
    assert told["figures"] == [
        {
            "bench": "turn",
            "name": "wall per turn",
            "value": 7.0,
            "unit": "ms",
            "reference": {"name": "floor", "value": 4.0},
            "ratio": 1.75,
            "target": "≤ 1.5",
            "reached": False,
        }
    ]


@pytest.mark.parametrize(("file_system", "fsync"), [("tmpfs", "on"), ("ext4", "off")])
def test_data_that_no_disk_holds_is_told(file_system: str, fsync: str) -> None:
    machine = Machine(cores=2, memory_gib=8.0, load=0.5, python="3.11", file_system=file_system, fsync=fsync)
    assert not machine.is_durable
    assert "NOT DURABLE" in as_table([], machine, 1.0)
    assert "NOT DURABLE" not in as_table([], MACHINE, 1.0)
