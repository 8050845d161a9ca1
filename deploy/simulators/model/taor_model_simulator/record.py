"""What this server billed, one JSON line per request, so that an audit can compare it with what a client settled.

A line stands before the first byte of the answer is sent: whoever has an answer finds its line.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

MAX_BYTES = 64 * 1024 * 1024  # then the file is kept once as FILE.1


@dataclass(frozen=True, slots=True)
class Line:
    """One request. `usage` is None if nothing was billed; `build` and `user_id` stand in the request."""

    time: str
    request_id: str
    request_sha256: str
    model: str
    script: str
    step: int
    build: str
    user_id: str
    status: int
    fault: str
    billed: bool
    usage: dict[str, object] | None


class Record:
    """An append-only file; every line reaches the operating system at once."""

    def __init__(self, path: Path | None, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = _open(path) if path else -1
        self._size_bytes = os.fstat(self._file).st_size if path else 0

    def add(self, line: Line) -> None:
        """Write one line."""
        if self._path is None:
            return
        data = orjson.dumps(asdict(line), option=orjson.OPT_APPEND_NEWLINE)
        if self._size_bytes + len(data) > self._max_bytes:
            self._turn_over(self._path)
        os.write(self._file, data)
        self._size_bytes += len(data)

    def close(self) -> None:
        """Close the file."""
        if self._path is not None:
            os.close(self._file)
            self._path = None

    def _turn_over(self, path: Path) -> None:
        os.close(self._file)
        path.replace(path.with_name(path.name + ".1"))
        self._file, self._size_bytes = _open(path), 0


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
