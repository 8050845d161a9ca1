"""Runs inside a sandbox, on the standard library alone: prints one JSON array per path, as `manifest` reads them.

Standard input holds {path: [fingerprint, sha256]} of the last walk; a file whose inode, size and times are still the
same is not read again. The time of the last status change cannot be set by a program, so no change can hide. What its
owner has locked is unlocked for as long as it is read; what is another user's and locked is printed as unreadable.
"""

import contextlib
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator

_CHUNK_BYTES = 1 << 20
_NEVER_WAIT = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
_READ, _ENTER = stat.S_IRUSR, stat.S_IRUSR | stat.S_IXUSR
UNREADABLE = "unreadable"
Row = tuple[str, str, int, int, int, str, str] | tuple[str, str]


def walk(known: dict[str, list[str]]) -> Iterator[Row]:
    """Every file, link and folder below the working directory."""
    with contextlib.ExitStack() as unlocked:
        folders = ["."]
        while folders:
            folder = folders.pop()
            try:
                found = list_folder(folder, unlocked)
            except PermissionError:
                yield folder.removeprefix("./"), UNREADABLE
                continue
            for path, status in found:
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
                if row := describe(path.removeprefix("./"), status, known):
                    yield row


def list_folder(folder: str, unlocked: contextlib.ExitStack) -> list[tuple[str, os.stat_result]]:
    """What is in a folder; one that had to be unlocked stays so until the stack is closed."""
    try:
        return _list(folder)
    except PermissionError:
        unlocked.enter_context(readable(folder, os.stat(folder), _ENTER))  # noqa: PTH116 # no Path: odd names stay
        return _list(folder)


def describe(path: str, status: os.stat_result, known: dict[str, list[str]]) -> Row | None:
    """The row of one path; None for what no snapshot keeps."""
    mode = stat.S_IMODE(status.st_mode)
    fingerprint = f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"
    if stat.S_ISDIR(status.st_mode):
        return path, "d", mode, 0, status.st_mtime_ns, "", ""
    if stat.S_ISLNK(status.st_mode):
        return path, "l", 0, 0, status.st_mtime_ns, "", os.readlink(path)  # noqa: PTH115 # as above
    if not stat.S_ISREG(status.st_mode):
        return None
    before = known.get(path)
    try:
        content = before[1] if before and before[0] == fingerprint else digest(path, status)
    except PermissionError:
        return path, UNREADABLE
    return path, "f", mode, status.st_size, status.st_mtime_ns, fingerprint, content


def digest(path: str, status: os.stat_result) -> str:
    """The SHA-256 of a file's content."""
    sha256 = hashlib.sha256()
    with os.fdopen(_open(path, status), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
    return sha256.hexdigest()


@contextlib.contextmanager
def readable(path: str, status: os.stat_result, rights: int) -> Iterator[None]:
    """Give the owner these rights within the block; raises PermissionError when the path is another user's."""
    mode = stat.S_IMODE(status.st_mode)
    os.chmod(path, mode | rights)  # noqa: PTH101 # as above
    try:
        yield
    finally:
        os.chmod(path, mode)  # noqa: PTH101 # as above


def _open(path: str, status: os.stat_result) -> int:
    try:
        return os.open(path, _NEVER_WAIT)
    except PermissionError:
        with readable(path, status, _READ):
            return os.open(path, _NEVER_WAIT)


def _list(folder: str) -> list[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        return [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]


if __name__ == "__main__":
    for row in walk(json.load(sys.stdin)):
        sys.stdout.write(json.dumps(row, separators=(",", ":")) + "\n")
