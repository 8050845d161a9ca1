"""The newest good snapshot is never dropped."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.records import Position, Snapshot
from taor_sandbox.retention import superfluous

START = datetime(2026, 1, 1, tzinfo=UTC)


def snapshot(covers: int, published: int) -> Snapshot:
    name = f"{covers}-{published}"
    position = Position(covers, 0)
    return Snapshot(name, 1, position, "", b"", b"", 0, 0, START + timedelta(seconds=published))


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.integers(1, 4))
def test_what_covers_most_stays_whatever_its_time(pairs: set[tuple[int, int]], keep: int) -> None:
    snapshots = [snapshot(*pair) for pair in pairs]
    gone = superfluous(snapshots, keep=keep)
    kept = [each for each in snapshots if each.snapshot_id not in gone]
    assert len(kept) == min(keep, len(snapshots))
    if snapshots:
        newest = max(snapshots, key=lambda each: (each.covers, each.published_at))
        assert newest in kept
