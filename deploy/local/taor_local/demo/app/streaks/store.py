"""Habits and their check-ins in one JSON file, replaced as a whole so that it is never half written."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

MAX_HABITS = 50
MAX_NAME = 60


class UnknownHabit(LookupError):
    """There is no habit with this number."""


@dataclass
class Habit:
    """One habit and the days on which it was kept."""

    number: int
    name: str
    days: set[date] = field(default_factory=set)


class Store:
    """All habits; every change is on disk before it is answered."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._habits = {habit.number: habit for habit in _read(path)}

    def habits(self) -> list[Habit]:
        """Every habit, in the order in which they were added."""
        with self._lock:
            return [Habit(habit.number, habit.name, set(habit.days)) for habit in self._habits.values()]

    def add(self, name: str) -> Habit:
        """Add a habit; raises ValueError for a name that is empty, too long, or already there."""
        name = " ".join(name.split())
        with self._lock:
            if not name or len(name) > MAX_NAME:
                raise ValueError(f"a name has 1 to {MAX_NAME} characters")
            if any(habit.name.casefold() == name.casefold() for habit in self._habits.values()):
                raise ValueError(f"{name!r} is already there")
            if len(self._habits) >= MAX_HABITS:
                raise ValueError(f"{MAX_HABITS} habits are enough for anyone")
            habit = Habit(max(self._habits, default=0) + 1, name)
            self._habits[habit.number] = habit
            self._write()
            return habit

    def toggle(self, number: int, day: date) -> bool:
        """Check a day in, or take it back; whether it is checked now."""
        with self._lock:
            habit = self._find(number)
            habit.days ^= {day}
            self._write()
            return day in habit.days

    def remove(self, number: int) -> None:
        """Forget a habit and its days."""
        with self._lock:
            del self._habits[self._find(number).number]
            self._write()

    def _find(self, number: int) -> Habit:
        if number not in self._habits:
            raise UnknownHabit(number)
        return self._habits[number]

    def _write(self) -> None:
        rows = [
            {"number": habit.number, "name": habit.name, "days": sorted(day.isoformat() for day in habit.days)}
            for habit in self._habits.values()
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump({"habits": rows}, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


def _read(path: Path) -> list[Habit]:
    if not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))["habits"]
    return [Habit(row["number"], row["name"], {date.fromisoformat(day) for day in row["days"]}) for row in rows]
