"""The API, from bytes to JSON, without a socket."""

import json
import tempfile
import unittest
from datetime import date
from pathlib import Path

from streaks.api import Response, answer
from streaks.store import Store

TODAY = date(2026, 3, 1)


class ApiTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = Store(Path(folder.name) / "streaks.json")

    def ask(self, method: str, path: str, fields: object = None) -> Response:
        body = json.dumps(fields).encode() if fields is not None else b""
        return answer(self.store, method, path, body, TODAY)

    def test_a_habit_from_the_first_click_to_the_streak(self) -> None:
        self.assertEqual(self.ask("POST", "/api/habits", {"name": "Read"}).status, 201)
        for day in ("2026-02-27", "2026-02-28"):
            self.assertEqual(self.ask("POST", "/api/habits/1/toggle", {"day": day}).body, {"day": day, "kept": True})
        self.ask("POST", "/api/habits/1/toggle")
        [habit] = self.ask("GET", "/api/habits").body["habits"]
        self.assertEqual((habit["streak"], habit["longest"], len(habit["days"])), (3, 3, 14))
        self.assertEqual(habit["days"][-1], {"day": "2026-03-01", "kept": True})

    def test_tomorrow_cannot_be_checked(self) -> None:
        self.ask("POST", "/api/habits", {"name": "Read"})
        refused = self.ask("POST", "/api/habits/1/toggle", {"day": "2026-03-02"})
        self.assertEqual((refused.status, refused.body), (400, {"problem": "a day to come cannot be checked"}))

    def test_what_is_not_there_is_404(self) -> None:
        for method, path in (("DELETE", "/api/habits/9"), ("POST", "/api/habits/9/toggle"), ("GET", "/api/other")):
            with self.subTest(path=path):
                self.assertEqual(self.ask(method, path).status, 404)

    def test_nonsense_is_400(self) -> None:
        for body in (b"{", b"[]", b'{"name": 1}', b"\xff", b'{"name": ""}'):
            with self.subTest(body=body):
                self.assertEqual(answer(self.store, "POST", "/api/habits", body, TODAY).status, 400)

    def test_a_removed_habit_is_gone(self) -> None:
        self.ask("POST", "/api/habits", {"name": "Read"})
        self.assertEqual(self.ask("DELETE", "/api/habits/1").status, 200)
        self.assertEqual(self.ask("GET", "/api/habits").body["habits"], [])


if __name__ == "__main__":
    unittest.main()
