"""What a snapshot holds: every path with its kind, mode and content hash, and one hash over all of it."""

import enum
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property


class EntryKind(enum.Enum):
    """What stands at a path; sockets, pipes and devices are not kept."""

    FILE = "f"
    LINK = "l"
    FOLDER = "d"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of the project."""

    path: str
    """Relative to the project; bytes that are no UTF-8 stand as surrogates, as `os.fsdecode` gives them."""
    kind: EntryKind
    mode: int
    """Permission bits; 0 for links, which have none of their own."""
    size_bytes: int
    modified_ns: int
    fingerprint: str
    """Inode and times: while they stay, so does the content. It is no part of the tree's hash."""
    content: str
    """SHA-256 of a file, in hex; the target of a link; empty for a folder."""


@dataclass(frozen=True)
class Manifest:
    """All entries, in the order of their paths, so that a folder comes before what is in it."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Manifest":
        """Put entries in order."""
        return cls(tuple(sorted(entries, key=lambda entry: os.fsencode(entry.path))))

    @cached_property
    def tree_sha256(self) -> bytes:
        """The hash over paths, kinds, modes, links and contents; times and owners do not count."""
        digest = hashlib.sha256()
        for entry in self.entries:
            fields = (entry.kind.value, f"{entry.mode:o}", entry.content, entry.path)
            digest.update(b"\0".join(os.fsencode(field) for field in fields) + b"\0")
        return digest.digest()

    @property
    def file_count(self) -> int:
        """How many files there are."""
        return sum(entry.kind is EntryKind.FILE for entry in self.entries)

    @property
    def file_bytes(self) -> int:
        """How many bytes the files have."""
        return sum(entry.size_bytes for entry in self.entries if entry.kind is EntryKind.FILE)

    @cached_property
    def paths_by_sha256(self) -> Mapping[str, str]:
        """Each distinct content with one path that has it."""
        return {entry.content: entry.path for entry in self.entries if entry.kind is EntryKind.FILE}

    def fingerprints(self) -> Mapping[str, tuple[str, str]]:
        """Path → (fingerprint, SHA-256), so that the next walk reads only what has changed."""
        return {e.path: (e.fingerprint, e.content) for e in self.entries if e.kind is EntryKind.FILE}

    def encode(self) -> bytes:
        """One JSON array per line; the same entries give the same bytes."""
        return "".join(json.dumps(_fields(entry), separators=(",", ":")) + "\n" for entry in self.entries).encode()

    @classmethod
    def decode(cls, text: bytes) -> "Manifest":
        """Read what `encode` wrote, or what the walk inside a sandbox prints; raises ValueError."""
        return cls.of(_entry(json.loads(line)) for line in text.splitlines())


def _fields(entry: Entry) -> tuple[object, ...]:
    kind = entry.kind.value
    return entry.path, kind, entry.mode, entry.size_bytes, entry.modified_ns, entry.fingerprint, entry.content


def _entry(fields: object) -> Entry:
    match fields:
        case [
            str(path), str(kind), int(mode), int(size_bytes), int(modified_ns), str(fingerprint), str(content)
        ] if _is_plain(path):  # fmt: skip
            return Entry(path, EntryKind(kind), mode, size_bytes, modified_ns, fingerprint, content)
        case _:
            raise ValueError(f"no entry of a manifest: {fields!r:.200}")


def _is_plain(path: str) -> bool:
    """The walk runs beside the project's own code: a path that leads elsewhere is not taken from it."""
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))
