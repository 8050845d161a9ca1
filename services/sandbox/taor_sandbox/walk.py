"""The walk for a snapshot, while everything inside stands still: what stands there, and what the last one lacks of it.

The store is not asked here: however slow it is, the sandbox stands still no longer for it.
"""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field, replace

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.errors import SnapshotFailed
from taor_sandbox.listing import NOTHING, Listing, list_files
from taor_sandbox.packs import Place, usable
from taor_sandbox.spool import Spool, Stowed, copy_out
from taor_sandbox.tree import report_unreadable, take_stock

_MOST_UNREAD_BYTES = 32 * 1024 * 1024
"""More is hashed inside, because most of it may be what the last snapshot has, as after an installation made anew."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What one walk has found."""

    listing: Listing
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where the last snapshot has contents; the new one goes on using these."""
    by_themselves: Collection[str] = ()
    """The contents of the last snapshot that lie in no pack."""
    copied: Mapping[str, int] = field(default_factory=dict)
    """The files that were copied out of the sandbox, with their sizes in bytes."""

    @property
    def there(self) -> Set[str]:
        """The contents that need not be stored."""
        return {*self.places, *self.by_themselves}


async def look(sandbox: Sandbox, last: Listing | None, *, is_same: bool) -> Listing:
    """The files as they stand. `is_same`: in the sandbox of `last`; another one's inodes say nothing.

    What no snapshot has is read when it is copied out. What one probably has is read inside, for it need not come out.
    """
    try:
        listed = await list_files(sandbox, last) if last is None or is_same else None
    except ValueError as error:
        raise SnapshotFailed(str(error)) from error
    if listed and (last is None or sum(listed.manifest.unread.values()) <= _MOST_UNREAD_BYTES):
        return listed
    return Listing(await take_stock(sandbox, last.manifest if last and is_same else None))


async def copy(sandbox: Sandbox, seen: Listing, last: Listing | None, spool: Spool) -> Walked:
    """Copy out what the last snapshot lacks."""
    manifest, before = seen.manifest, last.manifest if last else NOTHING.manifest
    report_unreadable(manifest)
    # A published snapshot needs what it names: the store has all of that, or has lost it, which is found out later.
    places = usable(before.places, manifest.sizes)
    by_themselves = before.paths_by_sha256.keys() - before.places.keys()
    lacking = manifest.sizes.keys() - places.keys() - by_themselves
    copied = {**manifest.unread, **manifest.files_of(lacking)}
    await copy_out(sandbox, copied, manifest.locked(copied), spool)
    return Walked(seen, places, by_themselves, copied)


def told(walked: Walked, stowed: Stowed) -> Listing:
    """What is in the spool tells the contents of what was not read, and must confirm that of what was."""
    manifest = walked.listing.manifest
    for path in walked.copied:
        seen = stowed.hashes.get(path)
        if seen is None or not (path in manifest.unread or path == manifest.paths_by_sha256.get(seen)):
            raise SnapshotFailed(f"{path!a} changed while it was copied; try again")
    places = {**walked.places, **stowed.places}
    return replace(walked.listing, manifest=manifest.read(stowed.hashes).placed(places))
