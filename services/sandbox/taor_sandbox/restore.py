"""Puts the files of a snapshot into a new sandbox."""

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.records import Build


class Restore:
    """Unpacks snapshots."""

    async def unpack(self, build: Build, sandbox: Sandbox) -> None:
        """Unpack the snapshot that the generation starts from; raises SnapshotBad."""
        assert build.snapshot_id is None
