"""Puts an answer together from the events of a stream; nothing of it may be trusted before it is complete.

MalformedStream      an event that does not fit; the answer is lost and its cost unknown
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from taor_orchestrator.model.port import Answer, Block, Delta, DeltaKind, Opaque, StopReason, Text, Thinking, ToolUse
from taor_orchestrator.model.usage import Tally

Object = dict[str, object]

MAX_BLOCKS = 1000
DELTAS = {
    "text_delta": (DeltaKind.TEXT, "text"),
    "thinking_delta": (DeltaKind.THINKING, "thinking"),
    "input_json_delta": (DeltaKind.TOOL_INPUT, "partial_json"),
}
# An assistant message must not be empty, or the provider refuses the history that holds it.
NOTHING_SAID: Object = {"type": "text", "text": "(The answer ended before its first word.)"}


class MalformedStream(ValueError):
    """The stream does not follow the protocol."""


@dataclass(slots=True)
class _Growing:
    """A content block while it grows: its fields as they began, and the pieces of its text or input."""

    fields: Object
    pieces: list[str] = field(default_factory=list)


class Assembly:
    """One answer in the making."""

    def __init__(self) -> None:
        self.complete = False
        self.error: Object | None = None
        self.tally = Tally()
        self._model = ""
        self._stop_reason = ""
        self._blocks: list[_Growing] = []

    @property
    def begun(self) -> bool:
        """Whether the provider has started to answer."""
        return self._model != ""

    def add(self, data: bytes) -> Delta | None:
        """Take the next event; the piece of the answer that it brought, if any. Raises `MalformedStream`."""
        try:
            return self._add(_object(orjson.loads(data)))
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as error:
            raise MalformedStream(f"an event of the stream does not fit: {error!r}") from error

    def answer(self, provider_request_id: str) -> Answer:
        """The whole answer, once it is complete."""
        assert self.complete, "only a complete answer may be used"
        cut_off = self._stop_reason == StopReason.MAX_TOKENS.value
        finished = [_finish(grown, last=cut_off and grown is self._blocks[-1]) for grown in self._blocks]
        kept = [pair for pair in finished if pair is not None] or [(NOTHING_SAID, Text(str(NOTHING_SAID["text"])))]
        return Answer(
            message=orjson.dumps({"role": "assistant", "content": [content for content, _ in kept]}),
            blocks=tuple(block for _, block in kept),
            stop_reason=_stop_reason(self._stop_reason),
            usage=self.tally.usage(),
            provider_request_id=provider_request_id,
            model=self._model,
        )

    def _add(self, event: Object) -> Delta | None:
        match event["type"]:
            case "message_start":
                message = _object(event["message"])
                self._model = str(message["model"])
                self.tally.start(message.get("usage"))
            case "content_block_start":
                self._begin(event)
            case "content_block_delta":
                return self._grow(event)
            case "message_delta":
                self._stop_reason = str(_object(event["delta"]).get("stop_reason") or self._stop_reason)
                self.tally.end(event.get("usage"))
            case "message_stop":
                self.complete = self.begun
            case "error":
                self.error = _object(event["error"])
            case _:
                pass  # pings, block ends, and events that newer versions of the API may add
        return None

    def _begin(self, event: Object) -> None:
        if event["index"] != len(self._blocks) or len(self._blocks) >= MAX_BLOCKS:
            raise MalformedStream(f"block {event['index']} cannot follow {len(self._blocks)} others")
        self._blocks.append(_Growing(_object(event["content_block"])))

    def _grow(self, event: Object) -> Delta | None:
        index, delta = event["index"], _object(event["delta"])
        if not isinstance(index, int) or not 0 <= index < len(self._blocks):
            raise MalformedStream(f"a piece belongs to block {index}, which has not begun")
        grown = self._blocks[index]
        if delta["type"] == "signature_delta":
            grown.fields["signature"] = delta["signature"]
        known = DELTAS.get(str(delta["type"]))
        if known is None:
            return None
        kind, key = known
        text = str(delta[key])
        grown.pieces.append(text)
        return Delta(kind, index, text)


def _finish(grown: _Growing, *, last: bool) -> tuple[Object, Block] | None:
    """The block as it is stored and as it is read; None for one that the provider would refuse to see again.

    `last`: the answer was cut off within or right after this block.
    """
    fields, text = grown.fields, "".join(grown.pieces)
    match fields.get("type"):
        case "text":
            said = str(fields.get("text", "")) + text
            return ({**fields, "text": said}, Text(said)) if said.strip() else None
        case "thinking":
            thought = str(fields.get("thinking", "")) + text
            return ({**fields, "thinking": thought}, Thinking(thought)) if fields.get("signature") else None
        case "redacted_thinking":
            return fields, Thinking("")
        case "tool_use":
            return _finish_tool_use(fields, text, last=last)
        case kind:
            return fields, Opaque(str(kind))


def _finish_tool_use(fields: Object, text: str, *, last: bool) -> tuple[Object, Block]:
    """A tool call keeps its input byte for byte; one that was cut off keeps none, and is marked as not to be run."""
    given = _parsed(text) if text else fields.get("input", {})
    whole = isinstance(given, dict) and not last
    arguments = given if isinstance(given, dict) and whole else {}
    raw = orjson.Fragment(text) if text and whole else arguments
    return {**fields, "input": raw}, ToolUse(str(fields["id"]), str(fields["name"]), arguments, complete=whole)


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _stop_reason(name: str) -> StopReason:
    try:
        return StopReason(name)
    except ValueError:
        return StopReason.OTHER


def _object(value: object) -> Object:
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value
