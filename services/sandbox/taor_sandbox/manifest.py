"""What a snapshot holds: every path with its kind, mode and content hash, and one hash over all of it.

It also tells where the contents are: in packs, or each by itself, as all of them were before there were packs.
"""

import enum
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from json.encoder import encode_basestring_ascii as _quoted

from taor_sandbox.packs import Pack, Place
from taor_sandbox.treewalk import UNREADABLE

UNREAD = ""
"""In the place of a file's content that nobody has read yet."""
_PACK = "pack"
_FIELDS = 7


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
    unreadable: tuple[str, ...] = ()
    """Paths that are left out because they are another user's, and locked."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where the contents are that lie in packs."""

    @classmethod
    def of(cls, entries: Iterable[Entry], unreadable: Iterable[str] = ()) -> "Manifest":
        """Put entries in order."""
        ordered = sorted(entries, key=lambda entry: os.fsencode(entry.path))
        return cls(tuple(ordered), tuple(sorted(unreadable, key=os.fsencode)))

    @cached_property
    def tree_sha256(self) -> bytes:
        """The hash over paths, kinds, modes, links and contents; times and owners do not count."""
        told = "".join([f"{e.kind.value}\0{e.mode:o}\0{e.content}\0{e.path}\0" for e in self.entries])
        return hashlib.sha256(os.fsencode(told)).digest()

    @property
    def file_count(self) -> int:
        """How many files there are."""
        return sum(entry.kind is EntryKind.FILE for entry in self.entries)

    @property
    def file_bytes(self) -> int:
        """How many bytes the files have."""
        return sum(entry.size_bytes for entry in self.entries if entry.kind is EntryKind.FILE)

    @cached_property
    def by_path(self) -> Mapping[str, Entry]:
        """The entry of each path."""
        return {entry.path: entry for entry in self.entries}

    @cached_property
    def paths_by_sha256(self) -> Mapping[str, str]:
        """Each distinct content with one path that has it."""
        return {entry.content: entry.path for entry in self.entries if _is_read(entry)}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Each distinct content with its size in bytes."""
        return {entry.content: entry.size_bytes for entry in self.entries if _is_read(entry)}

    def files_of(self, contents: Iterable[str]) -> Mapping[str, int]:
        """For each of these contents one path that has it, with its size in bytes."""
        return {self.paths_by_sha256[each]: self.sizes[each] for each in contents}

    @cached_property
    def unread(self) -> Mapping[str, int]:
        """The files whose contents are not known yet, with their sizes in bytes."""
        unread = (entry for entry in self.entries if entry.content == UNREAD and entry.kind is EntryKind.FILE)
        return {entry.path: entry.size_bytes for entry in unread}

    def read(self, hashes: Mapping[str, str]) -> "Manifest":
        """The same with the contents, by path, of files that were not read."""
        return replace(
            self,
            entries=tuple(replace(e, content=hashes[e.path]) if e.path in self.unread else e for e in self.entries),
        )

    def followed_by(self, changed: "Manifest", gone: Collection[str]) -> "Manifest":
        """The same after a while, in which these have changed or come, and those have gone."""
        entries = {**self.by_path, **changed.by_path}
        for path in gone:
            entries.pop(path, None)
        return self.of(entries.values())

    def placed(self, places: Mapping[str, Place]) -> "Manifest":
        """The same with the places of its contents, of all that are known."""
        return replace(self, places={content: places[content] for content in self.sizes if content in places})

    @property
    def objects(self) -> frozenset[str]:
        """What the store has to have: packs, and the contents that lie in none."""
        return frozenset(map(self._object_of, self.paths_by_sha256))

    def without(self, objects: Collection[str]) -> "Manifest":
        """What is left of it where the store has lost some of its objects."""
        left = (e for e in self.entries if e.kind is not EntryKind.FILE or self._object_of(e.content) not in objects)
        places = {content: place for content, place in self.places.items() if place.pack.sha256 not in objects}
        return replace(self, entries=tuple(left), places=places)

    def _object_of(self, content: str) -> str:
        place = self.places.get(content)
        return content if place is None else place.pack.sha256

    def fingerprints(self) -> Mapping[str, tuple[str, str]]:
        """Path → (fingerprint, SHA-256), so that the next walk reads only what has changed."""
        return {e.path: (e.fingerprint, e.content) for e in self.entries if e.kind is EntryKind.FILE}

    def locked(self, paths: Iterable[str]) -> Mapping[str, int]:
        """What the owner must be let to read so that these files can be read: locked files and folders, with modes."""
        modes = {e.path: e.mode for e in self.entries if e.kind is not EntryKind.LINK and not _is_open(e)}
        return {each: modes[each] for path in paths for each in _with_folders(path) if each in modes} if modes else {}

    def encode(self) -> bytes:
        """One JSON array per line; the same entries give the same bytes."""
        packs = sorted({place.pack for place in self.places.values()})
        numbers = {pack.sha256: number for number, pack in enumerate(packs)}

        def place_of(entry: Entry) -> str:
            place = self.places.get(entry.content) if entry.kind is EntryKind.FILE else None
            return "" if place is None else f",{numbers[place.pack.sha256]},{place.offset}"

        lines = [f"[{_fields(entry)}{place_of(entry)}]\n" for entry in self.entries]
        lines += [f'[{_quoted(path)},"{UNREADABLE}"]\n' for path in self.unreadable]
        lines += [f'["{pack.sha256}","{_PACK}",{pack.size_bytes}]\n' for pack in packs]
        return "".join(lines).encode()

    @classmethod
    def decode(cls, text: bytes) -> "Manifest":
        """Read what `encode` wrote, now or before there were packs; raises ValueError."""
        rows = [json.loads(line) for line in text.splitlines()]
        packs = [Pack(row[0], row[2]) for row in rows if _is_pack(row)]
        entries = [row for row in rows if not _is_pack(row)]
        places = {row[_FIELDS - 1]: _place(row[_FIELDS:], packs) for row in entries if len(row) > _FIELDS}
        return replace(cls.of_rows([row[:_FIELDS] for row in entries]), places=places)

    @classmethod
    def walked(cls, text: bytes) -> "Manifest":
        """Read what the walk inside a sandbox prints, which knows of no packs; raises ValueError."""
        return cls.of_rows([json.loads(line) for line in text.splitlines()])

    @classmethod
    def of_rows(cls, rows: Sequence[object]) -> "Manifest":
        """Take entries as the walk prints them; raises ValueError."""
        unreadable = [path for row in rows if (path := _unreadable(row)) is not None]
        return cls.of([_entry(row) for row in rows if _unreadable(row) is None], unreadable)


def _fields(entry: Entry) -> str:
    """What `json.dumps` would say, in a quarter of its time: it prepares itself anew for every row."""
    path, fingerprint, content = _quoted(entry.path), _quoted(entry.fingerprint), _quoted(entry.content)
    return f'{path},"{entry.kind.value}",{entry.mode},{entry.size_bytes},{entry.modified_ns},{fingerprint},{content}'


def _entry(fields: object) -> Entry:
    match fields:
        case [
            str(path), str(kind), int(mode), int(size_bytes), int(modified_ns), str(fingerprint), str(content)
        ] if _is_plain(path):  # fmt: skip
            return Entry(path, EntryKind(kind), mode, size_bytes, modified_ns, fingerprint, content)
        case _:
            raise ValueError(f"no entry of a manifest: {fields!r:.200}")


def _is_pack(row: object) -> bool:
    match row:
        case [str(), str(kind), int()] if kind == _PACK:
            return True
        case [*_]:
            return False
        case _:
            raise ValueError(f"no line of a manifest: {row!r:.200}")


def _place(fields: object, packs: Sequence[Pack]) -> Place:
    match fields:
        case [int(number), int(offset)] if 0 <= number < len(packs):
            return Place(packs[number], offset)
        case _:
            raise ValueError(f"no place of a manifest: {fields!r:.200}")


def _unreadable(row: object) -> str | None:
    match row:
        case [str(path), str(word)] if word == UNREADABLE:
            return path
        case _:
            return None


def _is_read(entry: Entry) -> bool:
    return entry.kind is EntryKind.FILE and entry.content != UNREAD


def _is_open(entry: Entry) -> bool:
    """Whether its owner may read it as it stands."""
    rights = stat.S_IRUSR | stat.S_IXUSR if entry.kind is EntryKind.FOLDER else stat.S_IRUSR
    return entry.mode & rights == rights


def _with_folders(path: str) -> Iterator[str]:
    """The path, and every folder above it."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _is_plain(path: str) -> bool:
    """The walk runs beside the project's own code: a path that leads elsewhere is not taken from it."""
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))
