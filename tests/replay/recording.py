"""A build as it is kept for later releases: its log, and the events that its watchers were told, one JSON line each."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from google.protobuf.json_format import MessageToDict
from taor.checkpoint.v1 import checkpoint_pb2
from taor.orchestrator.v1 import orchestrator_pb2

from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.model.port import Usage

NO_TIME = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""Stands where an event has the time of its recording, which nobody derives."""
_FORESEEN = ("p50", "p90")
"""Stored with the event of an allowance, for nobody could derive it."""
_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")


@dataclass(frozen=True)
class Recording:
    """One kept build."""

    history: History
    events: tuple[dict[str, object], ...]
    """The derived events as JSON of the contract, without number and time."""


def entry_line(entry: checkpoint_pb2.LogEntry) -> bytes:
    """An entry of the log as a line; its body stands in it as the text that it is."""
    fields: dict[str, object] = {
        "sequence": entry.sequence,
        "segment": entry.segment,
        "epoch": entry.epoch,
        "kind": checkpoint_pb2.LogEntry.Kind.Name(entry.kind),
        "body": entry.body.decode(),
    }
    if entry.inbox_ids:
        fields["inbox_ids"] = list(entry.inbox_ids)
    if entry.HasField("call"):
        call = entry.call
        fields["call"] = {
            "rid": call.rid,
            "request_sha256": base64.b64encode(call.request_sha256).decode(),
            "model": call.model,
            "max_output_tokens": call.max_output_tokens,
            "stop_reason": call.stop_reason,
            "price_id": call.price_id,
            "start_time": call.start_time.ToJsonString(),
            "usage": {name: getattr(call.usage, name) for name in _USAGE} if call.HasField("usage") else None,
        }
    return orjson.dumps({"entry": fields})


def event_line(event: orchestrator_pb2.Event) -> bytes:
    """A derived event as a line."""
    return orjson.dumps({"event": event_fields(event)})


def event_fields(event: orchestrator_pb2.Event) -> dict[str, object]:
    """A derived event as JSON of the contract: what a later release must derive again."""
    fields: dict[str, object] = MessageToDict(event, preserving_proto_field_name=True)
    low = fields.get("allowance_low")
    if isinstance(low, dict):
        fields["allowance_low"] = {name: value for name, value in low.items() if name not in _FORESEEN}
    return {name: value for name, value in fields.items() if name not in ("sequence", "time")}


def read(path: Path) -> Recording:
    """A kept build."""
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    entries = tuple(_entry(line["entry"]) for line in lines if "entry" in line)
    return Recording(History().grow(*entries), tuple(line["event"] for line in lines if "event" in line))


def prefixes(history: History) -> Iterator[tuple[History, Entry]]:
    """Every beginning of the log, with the entry that followed it."""
    for entry in history.entries:
        yield History(history.entries[: entry.sequence - 1]), entry


def _entry(fields: dict[str, object]) -> Entry:
    call = fields.get("call")
    assert call is None or isinstance(call, dict)
    inbox_ids = fields.get("inbox_ids", [])
    assert isinstance(inbox_ids, list)
    return Entry(
        sequence=int(str(fields["sequence"])),
        segment=int(str(fields["segment"])),
        epoch=int(str(fields["epoch"])),
        kind=EntryKind(fields["kind"]),
        body=str(fields["body"]).encode(),
        inbox_ids=tuple(inbox_ids),
        call=None if call is None else _call(call),
    )


def _call(fields: dict[str, object]) -> ModelCall:
    usage = fields["usage"]
    assert usage is None or isinstance(usage, dict)
    return ModelCall(
        rid=str(fields["rid"]),
        request_sha256=base64.b64decode(str(fields["request_sha256"])),
        model=str(fields["model"]),
        max_output_tokens=int(str(fields["max_output_tokens"])),
        usage=None if usage is None else Usage(**{name: usage[name] for name in _USAGE}, service_tier=""),
        stop_reason=str(fields["stop_reason"]),
        price_id=str(fields["price_id"]),
        start_time=datetime.datetime.fromisoformat(str(fields["start_time"])),
    )
