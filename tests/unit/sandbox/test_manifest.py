"""The manifest of a tree: what counts, and what does not."""

from dataclasses import replace

import pytest

from taor_sandbox.manifest import Entry, EntryKind, Manifest

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
