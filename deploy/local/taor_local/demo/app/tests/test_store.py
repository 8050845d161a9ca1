"""What is kept, and what survives a restart."""

import tempfile
import unittest
from datetime import date
from pathlib import Path

from streaks.store import Store, UnknownHabit

DAY = date(2026, 3, 1)


class StoreTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "data" / "streaks.json"
        self.store = Store(self.path)

    def test_a_restart_keeps_everything(self) -> None:
        plants = self.store.add("Water the plants")
        self.store.toggle(plants.number, DAY)
        again = Store(self.path).habits()
        self.assertEqual([(h.name, h.days) for h in again], [("Water the plants", {DAY})])

    def test_a_second_click_takes_it_back(self) -> None:
        number = self.store.add("Read").number
        self.assertTrue(self.store.toggle(number, DAY))
        self.assertFalse(self.store.toggle(number, DAY))
        self.assertEqual(self.store.habits()[0].days, set())

    def test_names_are_tidied_and_unique(self) -> None:
        self.store.add("  Go   outside ")
        self.assertEqual(self.store.habits()[0].name, "Go outside")
        for name in ("go outside", "", "x" * 61):
            with self.subTest(name=name), self.assertRaises(ValueError):
                self.store.add(name)

    def test_numbers_are_not_given_twice_while_a_later_habit_lives(self) -> None:
        first, second = self.store.add("One"), self.store.add("Two")
        self.store.remove(first.number)
        self.assertEqual(self.store.add("Three").number, second.number + 1)

    def test_an_unknown_habit_is_said_to_be_unknown(self) -> None:
        with self.assertRaises(UnknownHabit):
            self.store.toggle(7, DAY)

    def test_no_draft_is_left_behind(self) -> None:
        self.store.add("One")
        self.assertEqual([path.name for path in self.path.parent.iterdir()], ["streaks.json"])


if __name__ == "__main__":
    unittest.main()
