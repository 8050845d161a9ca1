"""Saves what a snapshot needs: its objects first, and only then its manifest."""

from collections.abc import Collection
from io import BytesIO

from taor_sandbox.blobs.port import Blobs
from taor_sandbox.manifest import Manifest
from taor_sandbox.spool import Spool, Stowed, upload


class LostByStore(Exception):
    """The store has not all that the last snapshot needs."""

    def __init__(self, objects: Collection[str]) -> None:
        super().__init__(f"the store has lost {len(objects)} objects of the last snapshot")
        self.objects = objects


async def save(
    blobs: Blobs, tenant_id: str, manifest: Manifest, manifest_sha256: bytes, stowed: Stowed, spool: Spool
) -> None:
    """Store of the spool what the store lacks; raises LostByStore for what is not in the spool, and not there either.

    Everything has to be announced before: else it may be found there now, and collected before it is named.
    """
    missing = await blobs.missing(tenant_id, manifest.objects)
    if lost := missing - stowed.objects.keys():
        raise LostByStore(lost)
    await upload(blobs, tenant_id, stowed, missing, spool)
    await blobs.put(tenant_id, manifest_sha256.hex(), BytesIO(manifest.encode()))
