"""Brings changed contents out of a sandbox: a tar into a file of ours during the walk, from there into the store."""

import hashlib
import io
import os
import tarfile
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias, cast

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import Blobs
from taor_sandbox.packs import MOST_PACKED_BYTES, PACK_BYTES, Pack, Place
from taor_sandbox.side_by_side import side_by_side
from taor_sandbox.tarindex import files_in
from taor_sandbox.tree import unlocked

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Spool: TypeAlias = IO[bytes]
"""A real file: its contents are read side by side, each from its own place."""

_PATHS_BYTES = 32 * 1024
_AT_ONCE = 16
_FEW, _LITTLE_BYTES = 2, 4 * 1024 * 1024
"""So much is not worth starting a program for."""


class _Stretch(NamedTuple):
    """A part of the spool."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Stowed:
    """What of a spool goes into the store, and as which objects."""

    hashes: Mapping[str, str]
    """The content of each file in the spool."""
    places: Mapping[str, Place]
    """The contents that lie in packs."""
    objects: Mapping[str, Sequence[_Stretch]]
    """The packs, and large contents by themselves."""


async def copy_out(sandbox: Sandbox, sizes: Mapping[str, int], locked: Mapping[str, int], spool: Spool) -> None:
    """Write these files, told with their sizes in bytes, to the spool; those that are `locked` are unlocked.

    They go by path, so that what is restored together lies together, and the same files make the same packs.
    """
    if not locked and len(sizes) <= _FEW and sum(sizes.values()) <= _LITTLE_BYTES:
        for path in sorted(sizes):
            spool.write(_archived(path, await sandbox.read(path)))
    else:
        async with unlocked(sandbox, locked):
            for batch in _batches(sorted(sizes)):
                async for chunk in sandbox.archive(batch):
                    spool.write(chunk)
    spool.flush()


def stow(spool: Spool, sizes: Mapping[str, int], there: Container[str]) -> Stowed:
    """Hash the files of the spool, and put what is not `there` into packs, or by itself; raises FileRefused.

    It blocks. A file that has not the size that was seen is left out.
    """
    packing = _Packing()
    hashes: dict[str, str] = {}
    large: dict[str, Sequence[_Stretch]] = {}
    for path, start, size in files_in(spool.fileno()):
        if sizes.get(path) != size:
            continue
        stretch = _Stretch(start, size)
        if size > MOST_PACKED_BYTES:
            sha256 = hashes[path] = _hash_of(spool, stretch)
            if sha256 not in there:
                large[sha256] = [stretch]
            continue
        content = os.pread(spool.fileno(), size, start)
        sha256 = hashes[path] = hashlib.sha256(content).hexdigest()
        if sha256 not in there and sha256 not in packing:
            packing.add(sha256, stretch, content)
    packing.close()
    return Stowed(hashes, packing.places, large | packing.packs)


def _hash_of(spool: Spool, stretch: _Stretch) -> str:
    return hashlib.file_digest(_Stretches(spool.fileno(), [stretch]), "sha256").hexdigest()


async def upload(blobs: Blobs, tenant_id: str, stowed: Stowed, spool: Spool) -> None:
    """Store the objects."""

    async def put(sha256: str) -> None:
        content = io.BufferedReader(_Stretches(spool.fileno(), stowed.objects[sha256]))
        await blobs.put(tenant_id, sha256, cast("BinaryIO", content))

    await side_by_side(put, stowed.objects, at_once=_AT_ONCE)


@dataclass
class _Packing:
    """Packs that are filled one after the other."""

    places: dict[str, Place] = field(default_factory=dict)
    packs: dict[str, Sequence[_Stretch]] = field(default_factory=dict)
    _contents: dict[str, _Stretch] = field(default_factory=dict)
    _size: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _undigested: bytes = b""
    """The last content: a pack with only one is called like that, and need not be hashed."""

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self.places or sha256 in self._contents

    def add(self, sha256: str, stretch: _Stretch, content: bytes) -> None:
        """Put a content behind the last one, or at the beginning of the next pack."""
        if self._size + stretch.size > PACK_BYTES:
            self.close()
        self._contents[sha256] = stretch
        self._size += stretch.size
        self._digest.update(self._undigested)
        self._undigested = content

    def close(self) -> None:
        """Only when a pack is full is it known how it is called, and so where its contents are."""
        if self._contents:
            pack, offset = Pack(self._name(), self._size), 0
            self.packs[pack.sha256] = list(self._contents.values())
            for sha256, stretch in self._contents.items():
                self.places[sha256] = Place(pack, offset)
                offset += stretch.size
        self._contents, self._size, self._digest, self._undigested = {}, 0, hashlib.sha256(), b""

    def _name(self) -> str:
        if len(self._contents) == 1:
            return next(iter(self._contents))
        self._digest.update(self._undigested)
        return self._digest.hexdigest()


class _Stretches(io.RawIOBase):
    """Parts of an open file one behind the other, as a file with a place of its own."""

    def __init__(self, descriptor: int, stretches: Sequence[_Stretch]) -> None:
        self._descriptor, self._stretches = descriptor, stretches
        self._number, self._within = 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return sum(each.size for each in self._stretches[: self._number]) + self._within

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = sum(each.size for each in self._stretches)
        left = max(0, {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: size}[whence] + offset)
        self._number = 0
        while self._number < len(self._stretches) and left >= self._stretches[self._number].size:
            left -= self._stretches[self._number].size
            self._number += 1
        self._within = left
        return self.tell()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view, filled = memoryview(buffer), 0
        while filled < len(view) and self._number < len(self._stretches):
            start, size = self._stretches[self._number]
            piece = os.pread(self._descriptor, min(len(view) - filled, size - self._within), start + self._within)
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._within += len(piece)
            if self._within >= size:
                self._number, self._within = self._number + 1, 0
            elif not piece:
                break
        return filled


def _archived(path: str, content: bytes) -> bytes:
    """A file as it stands in an archive."""
    info = tarfile.TarInfo(path)
    info.size = len(content)
    return (
        info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + content + bytes(-len(content) % tarfile.BLOCKSIZE)
    )


def _batches(paths: Iterable[str]) -> Iterable[list[str]]:
    """Paths in portions that fit onto a command line."""
    batch: list[str] = []
    size = 0
    for path in paths:
        size += len(path) + 1
        if batch and size > _PATHS_BYTES:
            yield batch
            batch, size = [], len(path) + 1
        batch.append(path)
    if batch:
        yield batch
