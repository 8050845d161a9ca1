"""The API as one pure function: a request and a day in, a response out. No socket, no clock.

GET    /api/habits            every habit with its days and streaks
POST   /api/habits            {"name": "…"}
POST   /api/habits/1/toggle   {"day": "2026-03-01"}, today if left out
DELETE /api/habits/1
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus

from streaks.calendar import current_streak, longest_streak, window
from streaks.store import Habit, Store, UnknownHabit

ONE = re.compile(r"/api/habits/(\d{1,9})(/toggle)?")


@dataclass(frozen=True)
class Response:
    """A status and the JSON that goes with it."""

    status: HTTPStatus
    body: object


def answer(store: Store, method: str, path: str, body: bytes, today: date) -> Response:
    """Answer one request to /api."""
    try:
        return _route(store, method, path, body, today)
    except UnknownHabit:
        return _problem(HTTPStatus.NOT_FOUND, "there is no such habit")
    except ValueError as error:
        return _problem(HTTPStatus.BAD_REQUEST, str(error))


def _route(store: Store, method: str, path: str, body: bytes, today: date) -> Response:
    if path == "/api/habits" and method == "GET":
        shown = {"today": today.isoformat(), "habits": [_view(habit, today) for habit in store.habits()]}
        return Response(HTTPStatus.OK, shown)
    if path == "/api/habits" and method == "POST":
        return Response(HTTPStatus.CREATED, _view(store.add(_field(body, "name", "")), today))
    one = ONE.fullmatch(path)
    if one and one[2] and method == "POST":
        return _toggle(store, int(one[1]), _field(body, "day", today.isoformat()), today)
    if one and not one[2] and method == "DELETE":
        store.remove(int(one[1]))
        return Response(HTTPStatus.OK, {})
    return _problem(HTTPStatus.NOT_FOUND, f"{method} {path} is not served here")


def _toggle(store: Store, number: int, day: str, today: date) -> Response:
    chosen = date.fromisoformat(day)
    if chosen > today:
        raise ValueError("a day to come cannot be checked")
    return Response(HTTPStatus.OK, {"day": day, "kept": store.toggle(number, chosen)})


def _view(habit: Habit, today: date) -> dict[str, object]:
    return {
        "number": habit.number,
        "name": habit.name,
        "streak": current_streak(habit.days, today),
        "longest": longest_streak(habit.days),
        "days": [{"day": day.isoformat(), "kept": day in habit.days} for day in window(today)],
    }


def _field(body: bytes, name: str, default: str) -> str:
    try:
        fields = json.loads(body or b"{}")
    except UnicodeDecodeError as error:
        raise ValueError("the body is not UTF-8") from error
    value = fields.get(name, default) if isinstance(fields, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text in a JSON object")
    return value


def _problem(status: HTTPStatus, text: str) -> Response:
    return Response(status, {"problem": text})
