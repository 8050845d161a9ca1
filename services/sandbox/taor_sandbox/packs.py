"""Small contents lie one behind the other in packs, because each object of a store costs much whatever its size.

A pack never changes; it is kept for as long as one snapshot names it. So that little of what is kept is dead, and that
a snapshot does not depend on ever more packs, a new snapshot packs anew what it still needs of some of them.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

PACK_BYTES = 8 * 1024 * 1024
"""A pack is no larger."""
MOST_PACKED_BYTES = 2 * 1024 * 1024
"""A larger content is an object of its own."""
_LEAST_ALIVE = 3
"""A pack of which less than one part in so many is alive is given up."""
_MOST_SMALL = 16
_SMALL_BYTES = PACK_BYTES // 2


class Pack(NamedTuple):
    """An object of the store that holds many contents."""

    sha256: str
    size_bytes: int


class Place(NamedTuple):
    """Where a content begins; how long it is, its entry in the manifest tells."""

    pack: Pack
    offset: int


def usable(places: Mapping[str, Place], sizes: Mapping[str, int]) -> dict[str, Place]:
    """Of the last snapshot's places those that a new one may go on using, which has contents of these sizes."""
    alive_bytes: Counter[Pack] = Counter()
    for content, place in places.items():
        if content in sizes:
            alive_bytes[place.pack] += sizes[content]
    if not (given_up := to_give_up(alive_bytes)):
        return dict(places)
    return {content: place for content, place in places.items() if place.pack not in given_up}


def to_give_up(alive_bytes: Mapping[Pack, int]) -> set[Pack]:
    """The packs of which a new snapshot packs the living contents anew: at most one pack's worth at a time.

    Those of which little is alive; and where there are many small ones, these too.
    """
    small = {pack for pack, alive in alive_bytes.items() if alive < _SMALL_BYTES}
    wanted = {pack for pack, alive in alive_bytes.items() if alive * _LEAST_ALIVE < pack.size_bytes}
    if len(small) > _MOST_SMALL:
        wanted |= small
    given_up: set[Pack] = set()
    room = PACK_BYTES
    for pack in sorted(wanted, key=lambda each: (alive_bytes[each], each.sha256)):
        room -= alive_bytes[pack]
        if room < 0:
            break
        given_up.add(pack)
    return given_up
