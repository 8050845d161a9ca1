"""Unpack the tar archive of a project: strictly inside one new folder, whatever the archive says.

A build is a stranger: its archive may hold absolute paths, `..`, devices, and links that lead outside. Nothing is
written through a link, because all links are made last; those that lead outside are left out and named.
"""

import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from taor_cli.exits import ThingFailedError, UsageError

MAX_BYTES = 4 * 1024**3
MAX_MEMBERS = 200_000
COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out of an archive."""

    folder: Path
    files: int
    bytes: int
    left_out: tuple[str, ...]
    """Members that are no files, folders or links, or lead outside."""


def require_new_folder(folder: Path) -> None:
    """UsageError unless the folder is absent or empty: nothing of a person's is ever overwritten."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an empty folder", advice="give another one with -o")


def unpack(archive: IO[bytes], folder: Path) -> Unpacked:
    """Unpack into a new folder. ThingFailedError when the archive is broken or too large."""
    require_new_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            return _Unpacker(tar, folder).run()
    except tarfile.TarError as error:
        raise ThingFailedError(f"the archive is broken: {error}", advice="try again") from error


class _Unpacker:
    """One archive on its way into one folder."""

    def __init__(self, tar: tarfile.TarFile, folder: Path) -> None:
        self._tar = tar
        self._folder = folder
        self._files = 0
        self._bytes = 0
        self._left_out: list[str] = []
        self._links: list[tuple[Path, str]] = []

    def run(self) -> Unpacked:
        for member, path in self._members():
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                self._write(member, path)
            elif member.issym() and _stays_inside(_relative(member.name), member.linkname):
                self._links.append((path, member.linkname))
            else:
                self._left_out.append(member.name)
        for path, target in self._links:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(path):
                path.symlink_to(target)
        return Unpacked(self._folder, self._files, self._bytes, tuple(self._left_out))

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, Path]]:
        for number, member in enumerate(self._tar):
            if number >= MAX_MEMBERS:
                raise ThingFailedError(f"the archive has more than {MAX_MEMBERS:,} members")
            relative = _relative(member.name)
            if relative is None:
                self._left_out.append(member.name)
            elif relative.parts:
                yield member, self._folder / relative

    def _write(self, member: tarfile.TarInfo, path: Path) -> None:
        self._bytes += member.size
        if self._bytes > MAX_BYTES:
            raise ThingFailedError(f"the archive has more than {MAX_BYTES:,} bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        source = self._tar.extractfile(member)
        assert source is not None, "a regular member has content"
        with source, path.open("wb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)
        path.chmod(0o755 if member.mode & 0o100 else 0o644)
        self._files += 1


def _relative(name: str) -> PurePosixPath | None:
    """The path below the folder; None when it would leave it."""
    path = PurePosixPath(name)
    return None if path.is_absolute() or ".." in path.parts else path


def _stays_inside(path: PurePosixPath | None, target: str) -> bool:
    """Whether a link at this path points to something in the archive."""
    if path is None or target.startswith("/"):
        return False
    depth = len(path.parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True
