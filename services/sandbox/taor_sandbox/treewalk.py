"""Runs inside a sandbox, on the standard library alone: prints one JSON array per path, as `manifest` reads them.

Standard input holds {path: [fingerprint, sha256]} of the last walk; a file whose inode, size and times are still the
same is not read again. The time of the last status change cannot be set by a program, so no change can hide.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator

_CHUNK_BYTES = 1 << 20
Row = tuple[str, str, int, int, int, str, str]


def walk(known: dict[str, list[str]]) -> Iterator[Row]:
    """Every file, link and folder below the working directory."""
    folders = ["."]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                path = entry.path.removeprefix("./")
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.path)
                if row := describe(path, status, known):
                    yield row


def describe(path: str, status: os.stat_result, known: dict[str, list[str]]) -> Row | None:
    """The row of one path; None for what no snapshot keeps."""
    mode = stat.S_IMODE(status.st_mode)
    fingerprint = f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"
    if stat.S_ISDIR(status.st_mode):
        return path, "d", mode, 0, status.st_mtime_ns, "", ""
    if stat.S_ISLNK(status.st_mode):
        return path, "l", 0, 0, status.st_mtime_ns, "", os.readlink(path)  # noqa: PTH115 # no Path is at hand
    if not stat.S_ISREG(status.st_mode):
        return None
    before = known.get(path)
    content = before[1] if before and before[0] == fingerprint else digest(path)
    return path, "f", mode, status.st_size, status.st_mtime_ns, fingerprint, content


def digest(path: str) -> str:
    """The SHA-256 of a file's content."""
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123 # as above
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
    return sha256.hexdigest()


if __name__ == "__main__":
    for row in walk(json.load(sys.stdin)):
        sys.stdout.write(json.dumps(row, separators=(",", ":")) + "\n")
