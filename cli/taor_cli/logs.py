"""The log files of the installation of this machine: JSON lines of the services, plain lines of PostgreSQL."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from taor_cli.exits import UsageError
from taor_cli.view.text import printable

TAIL_BYTES = 4 * 1024 * 1024
POLL_SECONDS = 0.2
SHOWN = frozenset({"time", "level", "service", "message", "logger", "traceback"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log."""

    source: str
    raw: str

    def fields(self) -> dict[str, object]:
        """The fields of a JSON line; none of a plain one."""
        try:
            fields = json.loads(self.raw)
        except ValueError:
            return {}
        return fields if isinstance(fields, dict) else {}

    def time(self) -> str:
        """When it was logged, in ISO 8601; empty where the line does not say."""
        return str(self.fields().get("time", ""))

    def readable(self) -> str:
        """The line for a person."""
        fields = self.fields()
        if "message" not in fields:
            return printable(f"{self.source}: {self.raw}")
        more = " ".join(f"{name}={value}" for name, value in fields.items() if name not in SHOWN)
        head = f"{fields.get('time', '')} {fields.get('level', ''):<7} {self.source:<12} {fields['message']} {more}"
        traceback = fields.get("traceback")
        return printable(head.rstrip() + (f"\n{traceback}" if traceback else ""))


def choose_logs(folder: Path, service: str | None) -> tuple[Path, ...]:
    """The log of a service, or all of them. UsageError names those that there are."""
    found = tuple(sorted(folder.glob("*.log")))
    if service is None:
        if not found:
            raise UsageError(f"there are no logs in {folder}", advice="start taor with `taor up`")
        return found
    chosen = tuple(path for path in found if path.stem == service)
    if not chosen:
        raise UsageError(
            f"there is no log of {service!r}", advice=f"there are: {', '.join(path.stem for path in found)}"
        )
    return chosen


def last_entries(logs: Sequence[Path], count: int) -> tuple[Entry, ...]:
    """The last entries of each log, several logs in order of time; a line without one stays after the line before."""
    entries = [entry for log in logs for entry in _tail(log, count)]
    if len(logs) == 1:
        return tuple(entries)
    keys: list[str] = []
    for entry in entries:
        keys.append(entry.time() or (keys[-1] if keys else ""))
    order = sorted(range(len(entries)), key=lambda index: keys[index])
    return tuple(entries[index] for index in order)


@contextmanager
def follow_logs(logs: Sequence[Path]) -> Iterator[Iterator[Entry]]:
    """New entries from here on, as they come, for ever. A log that was cut short is read on from its start."""
    with ExitStack() as stack:
        yield _follow([(log, stack.enter_context(_at_end(log))) for log in logs])


def _follow(readers: Sequence[tuple[Path, BufferedReader]]) -> Iterator[Entry]:
    while True:
        quiet = True
        for log, reader in readers:
            for entry in _news(log, reader):
                quiet = False
                yield entry
        if quiet:
            time.sleep(POLL_SECONDS)


def _news(log: Path, reader: BufferedReader) -> Iterator[Entry]:
    if log.stat().st_size < reader.tell():
        reader.seek(0)
    while line := reader.readline():
        if not line.endswith(b"\n"):
            reader.seek(-len(line), os.SEEK_CUR)
            return
        yield _entry(log, line)


def _at_end(log: Path) -> BufferedReader:
    reader = log.open("rb")
    reader.seek(0, os.SEEK_END)
    return reader


def _tail(log: Path, count: int) -> list[Entry]:
    with log.open("rb") as file:
        start = max(0, log.stat().st_size - TAIL_BYTES)
        file.seek(start)
        lines = file.read(TAIL_BYTES).splitlines()
    whole = lines[1:] if start else lines
    return [_entry(log, line) for line in whole[-count:]] if count else []


def _entry(log: Path, line: bytes) -> Entry:
    return Entry(log.stem, line.decode(errors="replace").rstrip("\n"))
