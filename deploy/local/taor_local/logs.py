"""The logs of the parts: append-only files of bounded size."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

LARGEST_LOG_BYTES = 16 * 1024**2
TAIL_LINES = 6
TAIL_BYTES = 8192
TAIL_LINE_CHARACTERS = 240


def open_log(path: Path) -> BinaryIO:
    """Open for appending, so that a file that was cut short is continued at its new end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def bound(folder: Path, *, largest_bytes: int = LARGEST_LOG_BYTES) -> None:
    """Move the contents of each log that has grown too large to `NAME.log.1`, replacing what was there.

    The parts keep their open descriptors, so the file is copied and cut; what is written between the two is lost.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > largest_bytes:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def tail(path: Path) -> str:
    """Give the last lines of a log, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(_shorten(line) for line in text.splitlines()[-TAIL_LINES:])


def _shorten(line: str) -> str:
    return line if len(line) <= TAIL_LINE_CHARACTERS else f"{line[:TAIL_LINE_CHARACTERS]}…"
