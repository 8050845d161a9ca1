"""Puts the files of a snapshot into a new sandbox, and proves that they are all there."""

from taor_sandbox.backends.errors import FileRefused
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobCorrupt, BlobError, BlobMissing, Blobs
from taor_sandbox.errors import SandboxUnavailable, SnapshotBad
from taor_sandbox.manifest import Manifest
from taor_sandbox.records import Build, Snapshot
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tarball import tar_of
from taor_sandbox.tree import take_stock


class Restore:
    """Unpacks snapshots."""

    def __init__(self, snapshots: Snapshots, blobs: Blobs) -> None:
        self._snapshots = snapshots
        self._blobs = blobs

    async def unpack(self, build: Build, sandbox: Sandbox) -> None:
        """Unpack the snapshot that the generation starts from, if any; raises SnapshotBad."""
        if build.snapshot_id is None:
            return
        snapshot = await self._snapshots.get(build.key, build.snapshot_id)
        assert snapshot is not None
        try:
            manifest = await read_manifest(self._blobs, build.key.tenant_id, snapshot)
            await sandbox.unpack(tar_of(manifest, self._blobs, build.key.tenant_id))
            stock = await take_stock(sandbox)
        except (BlobMissing, BlobCorrupt) as error:
            raise await self._bad(build, snapshot, str(error)) from error
        except BlobError as error:
            raise SandboxUnavailable("the store of snapshots cannot be reached; try again") from error
        except FileRefused as error:  # tar failed, which need not be the snapshot's fault
            raise SnapshotBad(snapshot.snapshot_id, str(error)) from error
        if stock.tree_sha256 != snapshot.tree_sha256:
            raise await self._bad(build, snapshot, "its files did not come out as they were")

    async def _bad(self, build: Build, snapshot: Snapshot, why: str) -> SnapshotBad:
        """Never restore from it again: the next plan takes an older one."""
        await self._snapshots.mark_bad(build.key, snapshot.snapshot_id)
        return SnapshotBad(snapshot.snapshot_id, why)


async def read_manifest(blobs: Blobs, tenant_id: str, snapshot: Snapshot) -> Manifest:
    """The manifest of a snapshot; raises BlobMissing and BlobCorrupt."""
    pieces = [piece async for piece in blobs.get(tenant_id, snapshot.manifest_sha256.hex())]
    return Manifest.decode(b"".join(pieces))
