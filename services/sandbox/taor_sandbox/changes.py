"""In which files two manifests differ, and how two texts do. Pure."""

import difflib
import enum
import os
from collections.abc import Iterator
from dataclasses import dataclass

from taor_sandbox.manifest import Entry, EntryKind, Manifest

MOST_TEXT_BYTES = 256 * 1024
"""Of each side: what is larger is told by its size only."""
MOST_LINES = 4_000
"""Of both sides together: comparing lines takes time that grows with their product."""
MOST_DIFF_CHARACTERS = 64 * 1024


class ChangeKind(enum.Enum):
    """How a path differs."""

    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class Change:
    """One file or link that differs; None where there is none."""

    before: Entry | None
    after: Entry | None

    @property
    def path(self) -> str:
        """Where it stands."""
        entry = self.before or self.after
        assert entry is not None
        return entry.path

    @property
    def kind(self) -> ChangeKind:
        """How it differs."""
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED


@dataclass(frozen=True, slots=True)
class TextDiff:
    """A unified diff, perhaps only the beginning of it."""

    text: str = ""
    is_cut: bool = False


NO_DIFF = TextDiff()


def changes(before: Manifest, after: Manifest) -> Iterator[Change]:
    """What differs, in the order of the paths; folders differ by what is in them."""
    old, new = _by_path(before), _by_path(after)
    for path in sorted(old.keys() | new.keys(), key=os.fsencode):
        was, is_now = old.get(path), new.get(path)
        if _identity(was) != _identity(is_now):
            yield Change(was, is_now)


def text_diff(path: str, before: bytes | None, after: bytes | None) -> TextDiff:
    """The unified diff of two contents, None for no such file, as `diff -u` prints it; none unless both are short."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None or len(old) + len(new) > MOST_LINES:
        return NO_DIFF
    name = shown(path)
    names = ("/dev/null" if before is None else f"a/{name}", "/dev/null" if after is None else f"b/{name}")
    taken: list[str] = []
    size = 0
    for line in difflib.unified_diff(old, new, *names):
        whole = line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        size += len(whole)
        if size > MOST_DIFF_CHARACTERS:
            return TextDiff("".join(taken), is_cut=True)
        taken.append(whole)
    return TextDiff("".join(taken))


def shown(path: str) -> str:
    """A path as text: bytes that are no UTF-8 are shown as �."""
    return os.fsencode(path).decode("utf-8", "replace")


def _by_path(manifest: Manifest) -> dict[str, Entry]:
    return {entry.path: entry for entry in manifest.entries if entry.kind is not EntryKind.FOLDER}


def _identity(entry: Entry | None) -> tuple[EntryKind, int, str] | None:
    return None if entry is None else (entry.kind, entry.mode, entry.content)


def _lines(content: bytes | None) -> list[str] | None:
    """The lines of a text; None for what is no text, or too long."""
    if content is None:
        return []
    if len(content) > MOST_TEXT_BYTES or b"\0" in content:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    *whole, rest = text.split("\n")  # no splitlines: it also breaks at form feeds and the like
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])
