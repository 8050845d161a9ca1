"""Events as they stand in the database: a JSON object of the event's fields, with its kind by the contract's name."""

from __future__ import annotations

import dataclasses

import orjson

from taor_orchestrator.events import (
    AllowanceLow,
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
from taor_orchestrator.money import Forecast, Outlook

_KINDS: dict[type, str] = {
    TurnTaken: "turn_taken",
    ToolCalled: "tool_called",
    ToolAnswered: "tool_answered",
    Narrated: "narrated",
    Documented: "documented",
    Escalated: "escalated",
    MessageRead: "message_read",
    AllowanceLow: "allowance_low",
    BuildEnded: "ended",
}


def payload_of(event: Event, forecast: Forecast | None = None) -> str:
    """The payload of an event, with the forecast that it may tell; JSON escapes the NUL that PostgreSQL refuses."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if isinstance(event, Documented):
        fields.pop("content")
    if isinstance(event, AllowanceLow):
        fields |= _outlooks(forecast)
    return orjson.dumps({"kind": _KINDS[type(event)], **fields}).decode()


def forecast_of(forecast: Forecast | None) -> str:
    """How a build may go on, as fields of the event of its rest; what is not foreseen is left out."""
    return orjson.dumps(_outlooks(forecast)).decode()


def _outlooks(forecast: Forecast | None) -> dict[str, object]:
    return {} if forecast is None else {"p50": _known(forecast.p50), "p90": _known(forecast.p90)}


def _known(outlook: Outlook) -> dict[str, object]:
    return {field: value for field, value in dataclasses.asdict(outlook).items() if value is not None}


def plain(text: str) -> str:
    """PostgreSQL takes no NUL in a text; the log keeps it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
