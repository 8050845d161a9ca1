"""Events as they stand in the database: a JSON object of the event's fields, with its kind by the contract's name."""

from __future__ import annotations

import dataclasses

import orjson

from taor_orchestrator.events import (
    BuildEnded,
    Documented,
    Escalated,
    Event,
    MessageRead,
    Narrated,
    ToolAnswered,
    ToolCalled,
    TurnTaken,
)

_KINDS: dict[type, str] = {
    TurnTaken: "turn_taken",
    ToolCalled: "tool_called",
    ToolAnswered: "tool_answered",
    Narrated: "narrated",
    Documented: "documented",
    Escalated: "escalated",
    MessageRead: "message_read",
    BuildEnded: "ended",
}


def payload_of(event: Event) -> str:
    """The payload of an event; JSON escapes the NUL that PostgreSQL takes in no text."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if isinstance(event, Documented):
        fields.pop("content")
    return orjson.dumps({"kind": _KINDS[type(event)], **fields}).decode()


def plain(text: str) -> str:
    """PostgreSQL takes no NUL in a text; the log keeps it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
