"""The scripted model's own record of what it billed: one JSON object a line, kept in one file and one before it."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from taor_cli.audit.evidence import Billed, Usage


def read_record(path: Path, build_id: str) -> tuple[Billed, ...]:
    """What was billed for a build, oldest first."""
    return tuple(line for file in (path.with_name(f"{path.name}.1"), path) for line in _lines(file, build_id))


def _lines(path: Path, build_id: str) -> Iterator[Billed]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            fields = json.loads(text)
            if fields["build"] == build_id and fields["billed"]:
                yield Billed(
                    line=number,
                    request_sha256=bytes.fromhex(fields["request_sha256"]),
                    model=fields["model"],
                    time=datetime.fromisoformat(fields["time"]),
                    usage=_usage(fields["usage"]),
                )


def _usage(fields: Mapping[str, object]) -> Usage:
    """The usage as the Messages API tells it; without the split by life, all cache writes are five-minute ones."""
    split = fields.get("cache_creation")
    if isinstance(split, dict):
        write_5m, write_1h = _count(split, "ephemeral_5m_input_tokens"), _count(split, "ephemeral_1h_input_tokens")
    else:
        write_5m, write_1h = _count(fields, "cache_creation_input_tokens"), 0
    return Usage(
        input_tokens=_count(fields, "input_tokens"),
        output_tokens=_count(fields, "output_tokens"),
        cache_read_tokens=_count(fields, "cache_read_input_tokens"),
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
    )


def _count(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0
