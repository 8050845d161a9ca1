"""Who is stopped when a disk is nearly full, and how seldom anybody is looked at before that."""

import os
from pathlib import Path

import pytest

from taor_sandbox.backends.local.folder import Folder, Shelf, State
from taor_sandbox.backends.local.gauges import FLOOR_BYTES, GREEDY_SHARE, INODES, Gauge, greedy
from taor_sandbox.backends.port import Limits

HOG, SECOND_HOG, MODEST, RESTING = Path("hog"), Path("second"), Path("modest"), Path("resting")
FLOOR = FLOOR_BYTES
FREE = FLOOR // 2
SHARE = FREE // GREEDY_SHARE
GROWN = {MODEST: SHARE, HOG: 9 * SHARE, SECOND_HOG: 2 * SHARE, RESTING: 0}


def test_above_the_floor_nobody_is_stopped() -> None:
    assert not greedy({HOG: 1 << 40}, FLOOR, FLOOR, since_last_round=True)


def test_below_it_everybody_is_who_takes_much_in_one_round() -> None:
    assert list(greedy(GROWN, FREE, FLOOR, since_last_round=True)) == [HOG, SECOND_HOG]


def test_of_what_has_grown_for_long_only_the_largest_is() -> None:
    assert list(greedy(GROWN, FREE, FLOOR, since_last_round=False)) == [HOG]


def test_the_less_is_left_the_less_may_be_taken() -> None:
    assert list(greedy({MODEST: SHARE}, FREE // 2, FLOOR, since_last_round=True)) == [MODEST]
    assert not greedy({RESTING: 0}, 0, FLOOR, since_last_round=True)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """One sandbox that makes many files, and one that makes few; nothing runs in them."""
    shelf = Shelf(tmp_path)
    for key, limits in (("hog/1", Limits(files=100)), ("modest/1", Limits(files=100))):
        shelf.folder(key).lay(State(key, "boot", None, limits), 1000)
    return shelf


async def test_who_takes_the_last_inodes_is_found(shelf: Shelf) -> None:
    gauge = Gauge(INODES)
    await gauge.begin(_disk(300_000), shelf.folders())
    _make(shelf.folder("hog/1"), 30)
    _make(shelf.folder("modest/1"), 2)
    assert await gauge.look(_disk(295_000), _nobody_looks) == [], "there is plenty"
    assert await gauge.look(_disk(2_000), shelf.folders) == [shelf.folder("hog/1")]
    assert await gauge.look(_disk(2_000), shelf.folders) == [], "nobody has taken any since"


async def test_who_has_more_files_than_its_limit_is_found_when_it_makes_more(shelf: Shelf) -> None:
    gauge = Gauge(INODES)
    await gauge.begin(_disk(900_000), shelf.folders())
    _make(shelf.folder("hog/1"), 120)
    assert await gauge.look(_disk(880_000), shelf.folders) == [shelf.folder("hog/1")]
    assert await gauge.look(_disk(860_000), shelf.folders) == [], "it was another program's doing"


async def test_a_small_disk_has_a_small_floor(shelf: Shelf) -> None:
    gauge = Gauge(INODES)
    await gauge.begin(_disk(60_000, total=80_000), shelf.folders())
    assert await gauge.look(_disk(55_000, total=80_000), _nobody_looks) == []


async def test_where_inodes_are_not_counted_nobody_is_looked_at(shelf: Shelf) -> None:
    gauge = Gauge(INODES)
    await gauge.begin(_disk(0, total=0), shelf.folders())
    assert await gauge.look(_disk(0, total=0), _nobody_looks) == []


def _make(folder: Folder, count: int) -> None:
    for number in range(count):
        (folder.workspace / str(number)).touch()


def _nobody_looks() -> list[Folder]:
    raise AssertionError("nothing was to be measured")


def _disk(free: int, *, total: int = 1_000_000) -> os.statvfs_result:
    """A disk with these inodes; its space is no matter here."""
    return os.statvfs_result((4096, 4096, 1, 1, 1, total, free, free, 0, 255))
