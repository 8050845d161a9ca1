"""Who is stopped when the disk is nearly full."""

from pathlib import Path

from taor_sandbox.backends.local.watchdog import FREE_FLOOR_BYTES, GREEDY_SHARE, greedy

HOG, SECOND_HOG, MODEST, RESTING = Path("hog"), Path("second"), Path("modest"), Path("resting")
FREE = FREE_FLOOR_BYTES // 2
SHARE = FREE // GREEDY_SHARE
GROWN = {MODEST: SHARE, HOG: 9 * SHARE, SECOND_HOG: 2 * SHARE, RESTING: 0}


def test_above_the_floor_nobody_is_stopped() -> None:
    assert not greedy({HOG: 1 << 40}, FREE_FLOOR_BYTES, since_last_round=True)


def test_below_it_everybody_is_who_takes_much_in_one_round() -> None:
    assert list(greedy(GROWN, FREE, since_last_round=True)) == [HOG, SECOND_HOG]


def test_of_what_has_grown_for_long_only_the_largest_is() -> None:
    assert list(greedy(GROWN, FREE, since_last_round=False)) == [HOG]


def test_the_less_is_left_the_less_may_be_taken() -> None:
    assert list(greedy({MODEST: SHARE}, FREE // 2, since_last_round=True)) == [MODEST]
    assert not greedy({RESTING: 0}, 0, since_last_round=True)
