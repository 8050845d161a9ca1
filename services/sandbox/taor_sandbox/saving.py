"""Saves what a snapshot needs. Nothing of it counts before the snapshot is published, so all goes at the same time."""

from collections.abc import Awaitable, Collection, Set
from hashlib import sha256
from io import BytesIO

from taor_sandbox.blobs.port import Blobs
from taor_sandbox.manifest import Manifest
from taor_sandbox.side_by_side import both
from taor_sandbox.spool import Spool, Stowed, upload


class LostByStore(Exception):
    """The store has not all that the last snapshot needs."""

    def __init__(self, objects: Collection[str]) -> None:
        super().__init__(f"the store has lost {len(objects)} objects of the last snapshot")
        self.objects = objects


async def save(
    blobs: Blobs, tenant_id: str, manifest: Manifest, encoded: bytes, missing: Awaitable[Set[str]], stowed: Stowed,
    spool: Spool,
) -> None:  # fmt: skip
    """Store the encoded manifest and what is in the spool, unless the store has lost some of what else it needs.

    `missing` tells what the store lacks of the last snapshot; raises LostByStore. All has to be announced before:
    else it may be found there now, and collected before it is named.
    """
    if lost := await missing & manifest.objects - stowed.objects.keys():
        raise LostByStore(lost)
    name = sha256(encoded).hexdigest()
    await both(blobs.put(tenant_id, name, BytesIO(encoded)), upload(blobs, tenant_id, stowed, spool))
