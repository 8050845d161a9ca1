"""A file system of its own for one folder, small enough to be filled; needs root in a namespace that may mount."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BALLAST = "ballast"
PIECE_BYTES = 4096


@contextmanager
def small_disk(folder: Path, *, mebibytes: int) -> Iterator[None]:
    """Mount a tmpfs on the folder. Raises subprocess.CalledProcessError where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={mebibytes}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "taor-test", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def fill(folder: Path) -> None:
    """Take the last byte that is free."""
    with (folder / BALLAST).open("wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(PIECE_BYTES)):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def empty(folder: Path) -> None:
    """Give back what `fill` took."""
    with suppress(FileNotFoundError):
        (folder / BALLAST).unlink()
