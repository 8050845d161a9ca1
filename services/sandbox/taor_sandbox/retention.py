"""Which snapshots may go."""

from collections.abc import Sequence

from taor_sandbox.records import Snapshot

KEEP = 5


def superfluous(snapshots: Sequence[Snapshot], *, keep: int) -> list[str]:
    """The ids of all but the newest `keep`; newest means: covers the most, whatever its time."""
    assert keep >= 1, "the newest good one is never dropped"
    ordered = sorted(snapshots, key=lambda each: (each.covers, each.published_at), reverse=True)
    return [each.snapshot_id for each in ordered[keep:]]
