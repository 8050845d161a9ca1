"""What a process remembers of snapshots, and when it forgets."""

from taor_sandbox.listing import Listing
from taor_sandbox.manifest import Entry, EntryKind, Manifest
from taor_sandbox.memory import Last, Memory
from taor_sandbox.records import BuildKey

ONE, OTHER, THIRD = (BuildKey("local", name) for name in ("one", "other", "third"))


def of(paths: int) -> Last:
    entries = [Entry(f"d{n}", EntryKind.FOLDER, 0o755, 0, 0, "", "") for n in range(paths)]
    return Last(Listing(Manifest.of(entries), "stamp"), 0.0)


def test_only_the_very_snapshot_is_remembered() -> None:
    memory, last = Memory(), of(2)
    memory.keep(ONE, b"sha", last)
    assert memory.of(ONE, b"sha") is last
    assert memory.of(ONE, b"another") is None
    assert memory.of(OTHER, b"sha") is None


def test_a_new_one_takes_the_place_of_the_one_before() -> None:
    memory = Memory(most_paths=4)
    for number in range(10):
        memory.keep(ONE, bytes([number]), of(3))
    memory.keep(OTHER, b"sha", of(1))
    assert memory.of(ONE, b"\x09") is not None
    assert memory.of(ONE, b"\x08") is None


def test_what_was_not_used_for_longest_is_forgotten_first() -> None:
    memory = Memory(most_paths=5)
    memory.keep(ONE, b"sha", of(2))
    memory.keep(OTHER, b"sha", of(2))
    assert memory.of(ONE, b"sha") is not None
    memory.keep(THIRD, b"sha", of(2))
    assert [memory.of(key, b"sha") is not None for key in (ONE, OTHER, THIRD)] == [True, False, True]


def test_what_is_too_large_by_itself_is_not_remembered() -> None:
    memory = Memory(most_paths=5)
    memory.keep(ONE, b"sha", of(6))
    assert memory.of(ONE, b"sha") is None
