"""Reads from the scripted model's record when each turn began, for a build of taor and for the floor alike."""

import json
import statistics
from datetime import datetime
from itertools import pairwise
from pathlib import Path


def turn_milliseconds(record: Path, build: str) -> list[float]:
    """How long each turn of a build took: from its request's arrival at the model to the next one's."""
    with record.open() as lines:
        times = [datetime.fromisoformat(line["time"]) for line in map(json.loads, lines) if line["build"] == build]
    return [(after - before).total_seconds() * 1000 for before, after in pairwise(times)]


def around(turns: list[float], number: int, width: int = 11) -> float:
    """The median of the turns around this one, counted from 1: a single turn is noise."""
    first = max(0, number - 1 - width // 2)
    return statistics.median(turns[first : first + width])
