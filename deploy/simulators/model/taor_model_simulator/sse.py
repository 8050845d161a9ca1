"""Writes an answer as server-sent events, in the order and shape of the real stream."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from taor_model_simulator.answer import Block, Message, envelope, usage
from taor_model_simulator.request import Object

DELTA_CHARACTERS = 48
DELTA_TYPES = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "input": ("input_json_delta", "partial_json"),
}


def events(message: Message, *, with_usage: bool = True) -> Iterator[bytes]:
    """The events of a whole stream. Without usage: as some compatible servers leave it out."""
    start, end = envelope(message), _final_usage(message)
    start["usage"] = {**usage(message), "output_tokens": 1}
    if not with_usage:
        del start["usage"]
        end = {}
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    for index, block in enumerate(message.blocks):
        yield from _block_events(index, block)
    stop: Object = {"stop_reason": message.stop_reason, "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": stop, **({"usage": end} if with_usage else {})})
    yield _event({"type": "message_stop"})


def error_event(kind: str, text: str, request_id: str) -> bytes:
    """The event that ends a stream which had begun with status 200."""
    return _event({"type": "error", "error": {"type": kind, "message": text}, "request_id": request_id})


def _block_events(index: int, block: Block) -> Iterator[bytes]:
    yield _event({"type": "content_block_start", "index": index, "content_block": block.head})
    kind, key = DELTA_TYPES[block.field]
    for at in range(0, len(block.body), DELTA_CHARACTERS):
        piece: Object = {"type": kind, key: block.body[at : at + DELTA_CHARACTERS]}
        yield _event({"type": "content_block_delta", "index": index, "delta": piece})
    if block.signature:
        signature: Object = {"type": "signature_delta", "signature": block.signature}
        yield _event({"type": "content_block_delta", "index": index, "delta": signature})
    yield _event({"type": "content_block_stop", "index": index})


def _final_usage(message: Message) -> Object:
    """message_delta counts everything but says nothing of the 5-minute and 1-hour split, as the real one."""
    whole = usage(message)
    return {key: value for key, value in whole.items() if key not in ("cache_creation", "service_tier")}


def _event(data: Object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(data["type"]).encode(), orjson.dumps(data))
