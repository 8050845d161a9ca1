"""The manifest of a tree: what counts, and what does not."""

from dataclasses import replace

import pytest

from taor_sandbox.manifest import Entry, EntryKind, Manifest
from taor_sandbox.packs import Pack, Place

FILE = Entry("a/f", EntryKind.FILE, 0o644, 3, 10, "1.3.10.10", "ab" * 32)
FOLDER = Entry("a", EntryKind.FOLDER, 0o755, 0, 5, "", "")
LINK = Entry("l", EntryKind.LINK, 0, 0, 5, "", "a/f")


def test_folders_stand_before_what_is_in_them() -> None:
    assert [entry.path for entry in Manifest.of([LINK, FILE, FOLDER]).entries] == ["a", "a/f", "l"]


@pytest.mark.parametrize(
    "changed",
    [
        replace(FILE, mode=0o755),
        replace(FILE, content="cd" * 32),
        replace(FILE, path="a/g"),
        replace(FILE, kind=EntryKind.LINK),
    ],
)
def test_paths_kinds_modes_and_contents_count(changed: Entry) -> None:
    assert Manifest.of([FOLDER, changed]).tree_sha256 != Manifest.of([FOLDER, FILE]).tree_sha256


def test_times_do_not_count() -> None:
    other = replace(FILE, modified_ns=99, fingerprint="2.3.99.99")
    assert Manifest.of([FOLDER, other]).tree_sha256 == Manifest.of([FOLDER, FILE]).tree_sha256


def test_differences_lead_from_one_to_the_next() -> None:
    changed, new = replace(FILE, content="cd" * 32), replace(LINK, path="a/b")
    after = Manifest.of([FOLDER, FILE, LINK]).followed_by(Manifest.of([changed, new]), ["l", "was never there"])
    assert after == Manifest.of([FOLDER, changed, new])
    assert [entry.path for entry in after.entries] == ["a", "a/b", "a/f"]


def test_an_empty_folder_counts() -> None:
    assert Manifest.of([FOLDER]).tree_sha256 != Manifest.of([]).tree_sha256


def test_it_reads_back_what_it_wrote_also_names_that_are_no_text() -> None:
    odd = replace(FILE, path="a/\udcff \n\"'")
    manifest = Manifest.of([FOLDER, FILE, LINK, odd])
    assert Manifest.decode(manifest.encode()) == manifest
    assert Manifest.decode(manifest.encode()).tree_sha256 == manifest.tree_sha256


def test_what_could_not_be_read_is_named_and_does_not_count() -> None:
    whole, lacking = Manifest.of([FOLDER, FILE]), Manifest.of([FOLDER, FILE], ["a/z", "a/b"])
    assert Manifest.decode(lacking.encode()) == lacking
    assert lacking.unreadable == ("a/b", "a/z")
    assert lacking.tree_sha256 == whole.tree_sha256


def test_it_knows_what_must_be_unlocked_to_read_a_file() -> None:
    dark, deep = replace(FOLDER, path="dark", mode=0o300), replace(FOLDER, path="dark/deep", mode=0o700)
    secret = replace(FILE, path="dark/deep/secret", mode=0o044)
    manifest = Manifest.of([FOLDER, FILE, LINK, dark, deep, secret])
    assert manifest.locked(["a/f", "dark/deep/secret"]) == {"dark": 0o300, "dark/deep/secret": 0o044}
    assert manifest.locked(["a/f"]) == {}


@pytest.mark.parametrize("path", ["../x", "a/../x", "/etc/x", "a//b", ".", "a/./b", "a\0b", ""])
def test_a_path_that_leads_elsewhere_is_no_entry(path: str) -> None:
    with pytest.raises(ValueError, match="no entry"):
        Manifest.decode(Manifest((replace(FILE, path=path),)).encode())


@pytest.mark.parametrize("line", [b"{}", b"[1]", b'["a","x",1,1,1,"",""]', b"nonsense"])
def test_anything_else_is_no_manifest(line: bytes) -> None:
    with pytest.raises(ValueError):
        Manifest.decode(line)


def test_contents_are_counted_once() -> None:
    same = replace(FILE, path="b")
    manifest = Manifest.of([FILE, same, FOLDER, LINK])
    assert set(manifest.paths_by_sha256) == {FILE.content}
    assert (manifest.file_count, manifest.file_bytes) == (2, 6)


PACK = Pack("ef" * 32, 30)
OTHER = replace(FILE, path="b", content="cd" * 32)
PACKED = replace(Manifest.of([FOLDER, FILE, LINK, OTHER]), places={FILE.content: Place(PACK, 7)})


def test_it_tells_where_the_contents_are() -> None:
    assert Manifest.decode(PACKED.encode()) == PACKED
    assert PACKED.objects == {PACK.sha256, OTHER.content}
    assert PACKED.tree_sha256 == replace(PACKED, places={}).tree_sha256, "where they are does not count"


def test_what_the_store_has_lost_is_not_in_what_is_left() -> None:
    without_pack, without_content = PACKED.without({PACK.sha256}), PACKED.without({OTHER.content})
    assert without_pack.objects == {OTHER.content}
    assert without_pack.places == {}
    assert without_content.objects == {PACK.sha256}
    assert without_content.places == PACKED.places


def test_a_link_to_what_looks_like_a_content_has_no_place() -> None:
    sly = replace(LINK, content=FILE.content)
    manifest = replace(Manifest.of([sly]), places={FILE.content: Place(PACK, 7)})
    assert Manifest.decode(manifest.encode()).places == {}


def test_the_walk_cannot_say_where_a_content_is() -> None:
    with pytest.raises(ValueError, match="no entry"):
        Manifest.walked(PACKED.encode())


@pytest.mark.parametrize("place", ["1,0", '0,"x"', "-1,0", "0", "0,1,2"])
def test_a_place_in_no_pack_is_none(place: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        Manifest.decode(PACKED.encode().replace(b'",0,7]', f'",{place}]'.encode()))
