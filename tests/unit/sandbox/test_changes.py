"""What differs between two trees, and the bounds of a diff."""

from dataclasses import replace

from taor_sandbox.changes import MOST_DIFF_CHARACTERS, MOST_LINES, NO_DIFF, changes, text_diff
from taor_sandbox.manifest import Entry, EntryKind, Manifest

FILE = Entry("f", EntryKind.FILE, 0o644, 3, 10, "1.3.10.10", "ab" * 32)


def test_times_and_folders_are_no_change() -> None:
    folder = Entry("d", EntryKind.FOLDER, 0o755, 0, 5, "", "")
    later = replace(FILE, modified_ns=99, fingerprint="2")
    assert list(changes(Manifest.of([FILE]), Manifest.of([folder, later]))) == []


def test_a_file_that_becomes_a_link_has_changed() -> None:
    (change,) = changes(Manifest.of([FILE]), Manifest.of([replace(FILE, kind=EntryKind.LINK, content="g")]))
    assert (change.path, change.kind.value) == ("f", "CHANGED")


def test_only_a_short_text_has_a_diff() -> None:
    assert text_diff("f", b"\xff\n", b"x\n") == NO_DIFF
    assert text_diff("f", b"x\n" * MOST_LINES, b"y\n") == NO_DIFF
    assert text_diff("f", b"a\x0cb\n", None).text == "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\x0cb\n"


def test_a_long_diff_is_cut_at_a_line() -> None:
    diff = text_diff("f", None, (b"x" * 999 + b"\n") * 200)
    assert diff.is_cut
    assert len(diff.text) <= MOST_DIFF_CHARACTERS
    assert diff.text.endswith("x\n")
