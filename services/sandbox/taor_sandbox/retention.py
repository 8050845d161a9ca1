"""Which snapshots may go."""

from collections.abc import Collection, Sequence

from taor_sandbox.records import Snapshot

KEEP = 5


def superfluous(snapshots: Sequence[Snapshot], pinned: Collection[str], *, keep: int = KEEP) -> list[Snapshot]:
    """All but the newest `keep` and those that are being read; newest means: covers the most, whatever its time."""
    assert keep >= 1, "the newest good one is never dropped"
    ordered = sorted(snapshots, key=lambda each: (each.covers, each.published_at), reverse=True)
    return [each for each in ordered[keep:] if each.snapshot_id not in pinned]
