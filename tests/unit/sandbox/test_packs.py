"""Which packs a new snapshot goes on using: little of what is kept is dead, and there are never many small ones."""

import random

from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.packs import PACK_BYTES, Pack, Place, to_give_up, usable

MIB = 1024 * 1024


def test_a_pack_of_which_a_third_is_alive_is_kept_and_one_with_less_is_not() -> None:
    pack = Pack("p", 3 * MIB)
    places = {"a": Place(pack, 0), "b": Place(pack, MIB)}
    assert usable(places, {"a": MIB, "other": 9}) == places
    assert usable(places, {"a": MIB - 1}) == {}
    assert usable(places, {}) == places, "nobody has counted"


def test_what_is_packed_anew_is_bounded_and_the_emptiest_come_first() -> None:
    packs = {Pack(f"{n:02}", 7 * MIB): 2 * MIB + n for n in range(9)}
    assert sorted(pack.sha256 for pack in to_give_up(packs)) == ["00", "01", "02"]


def test_many_small_packs_become_one_and_large_ones_stay() -> None:
    small = {Pack(f"{n:02}", 1000 + n): 1000 + n for n in range(17)}
    large = {Pack(f"l{n:02}", PACK_BYTES): PACK_BYTES for n in range(40)}
    assert to_give_up(small | large) == small.keys()
    del small[Pack("00", 1000)]
    assert to_give_up(small | large) == set()


@given(st.integers(0, 2**32))
def test_over_hundreds_of_snapshots_storage_and_their_number_stay_bounded(seed: int) -> None:
    """Each changes some files of one tree; what it needs and no pack has goes into new packs."""
    random_numbers = random.Random(seed)
    files = {f"file {n}": (f"{n} at first", random_numbers.randrange(200_000)) for n in range(60)}
    places: dict[str, Place] = {}
    for turn in range(150):
        for name in random_numbers.sample(sorted(files), random_numbers.choice([1, 1, 2, 40])):
            files[name] = f"{name} in {turn}", random_numbers.randrange(200_000)
        sizes = dict(files.values())
        places = {content: place for content, place in usable(places, sizes).items() if content in sizes}
        places |= packed({content: size for content, size in sizes.items() if content not in places}, turn)
        packs = {place.pack for place in places.values()}
        assert places.keys() == sizes.keys()
        assert len(packs) <= 18
        assert sum(pack.size_bytes for pack in packs) <= 3 * sum(sizes.values()) + PACK_BYTES


def packed(contents: dict[str, int], turn: int) -> dict[str, Place]:
    """All of them in one pack; the tree is smaller than what a pack takes, or not much larger."""
    pack, places = Pack(f"pack {turn}", sum(contents.values())), {}
    offset = 0
    for content, size in contents.items():
        places[content] = Place(pack, offset)
        offset += size
    return places
