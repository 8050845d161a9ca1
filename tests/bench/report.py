"""Shows figures: as a table for people, as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from tests.bench.figures import Figure
from tests.bench.machine import Machine

HEADINGS = ("figure", "measured", "beside", "ratio", "target", "")
SMALL = 10.0  # below it two decimals tell something


def as_table(figures: Sequence[Figure], machine: Machine, total_seconds: float) -> str:
    """The figures in one table, a line each, grouped by benchmark."""
    lines = [str(machine)]
    rows = [HEADINGS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    bench = ""
    for figure, row in zip([None, *figures], rows, strict=True):
        if figure is not None and figure.bench != bench:
            bench = figure.bench
            lines += ["", bench]
        lines.append("  ".join(["", *(cell.ljust(width) for cell, width in zip(row, widths, strict=True))]).rstrip())
    return "\n".join([*lines, "", f"measured in {total_seconds:.0f} s", ""])


def as_json(figures: Sequence[Figure], machine: Machine, total_seconds: float) -> str:
    """The same as one JSON document."""
    shown = [
        {
            "bench": figure.bench,
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "reference": figure.reference and asdict(figure.reference),
            "ratio": figure.ratio,
            "target": figure.target and f"{figure.target.goal.value} {figure.target.bound:g}",
            "reached": figure.reached,
        }
        for figure in figures
    ]
    return json.dumps({"machine": asdict(machine), "figures": shown, "total_seconds": total_seconds}, indent=2) + "\n"


def _row(figure: Figure) -> tuple[str, ...]:
    reference, ratio, target = figure.reference, figure.ratio, figure.target
    return (
        figure.name,
        f"{_number(figure.value)} {figure.unit}",
        f"{reference.name} {_number(reference.value)}" if reference else "",
        f"{ratio:.2f} ×" if ratio is not None else "",
        f"{target.goal.value} {target.bound:g}" if target else "",
        {True: "✓", False: "✗", None: ""}[figure.reached],
    )


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < SMALL else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"
