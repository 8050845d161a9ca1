"""The counting of streaks."""

import unittest
from datetime import date, timedelta

from streaks.calendar import current_streak, longest_streak, window

TODAY = date(2026, 3, 1)  # the day after 28 February: a month boundary is in every test


def days_ago(*distances: int) -> list[date]:
    return [TODAY - timedelta(days=distance) for distance in distances]


class CurrentStreak(unittest.TestCase):
    def test_nothing_kept_is_no_streak(self) -> None:
        self.assertEqual(current_streak([], TODAY), 0)

    def test_today_and_the_days_before_count(self) -> None:
        self.assertEqual(current_streak(days_ago(0, 1, 2), TODAY), 3)

    def test_a_streak_does_not_break_in_the_morning(self) -> None:
        self.assertEqual(current_streak(days_ago(1, 2, 3), TODAY), 3)

    def test_a_whole_day_missed_ends_it(self) -> None:
        self.assertEqual(current_streak(days_ago(2, 3, 4), TODAY), 0)

    def test_a_gap_further_back_only_shortens_it(self) -> None:
        self.assertEqual(current_streak(days_ago(0, 1, 3, 4), TODAY), 2)


class LongestStreak(unittest.TestCase):
    def test_the_best_run_wins(self) -> None:
        self.assertEqual(longest_streak(days_ago(0, 1, 5, 6, 7, 8)), 4)

    def test_nothing_kept(self) -> None:
        self.assertEqual(longest_streak([]), 0)


class Window(unittest.TestCase):
    def test_it_ends_today(self) -> None:
        shown = window(TODAY, 14)
        self.assertEqual((len(shown), shown[0], shown[-1]), (14, date(2026, 2, 16), TODAY))


if __name__ == "__main__":
    unittest.main()
