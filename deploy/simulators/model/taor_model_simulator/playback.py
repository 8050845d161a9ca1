"""Sends a composed answer, whole or as a stream, with the pace and the mishap that the script asks for."""

from __future__ import annotations

import asyncio

import orjson

from taor_model_simulator import answer, sse
from taor_model_simulator.http import Reply
from taor_model_simulator.script import Fault, FaultKind

BREAKS_OFF = frozenset({FaultKind.STREAM_ERROR, FaultKind.RESET, FaultKind.TRUNCATE, FaultKind.STALL})


async def whole(message: answer.Message, fault: Fault | None, reply: Reply) -> None:
    """Answer a request that does not stream; every mishap of a stream is here a torn connection."""
    if fault is not None and fault.kind in BREAKS_OFF:
        await asyncio.sleep(fault.seconds)
        reply.reset()
    await reply.whole(200, orjson.dumps(answer.as_object(message)))


async def stream(message: answer.Message, pace_seconds: float, fault: Fault | None, reply: Reply) -> None:
    """Answer with events. Without a pace they are one write: the client still reads every one of them."""
    events = list(sse.events(message, with_usage=fault is None or fault.kind is not FaultKind.NO_USAGE))
    before = fault.after_events if fault is not None and fault.kind in BREAKS_OFF else len(events)
    reply.begin_events()
    await _send(events[:before], pace_seconds, reply)
    if fault is not None and fault.kind in BREAKS_OFF:
        await _mishap(fault, reply)
    await _send(events[before:] if fault is not None and fault.kind is FaultKind.STALL else [], pace_seconds, reply)
    await reply.end_events()


async def _mishap(fault: Fault, reply: Reply) -> None:
    match fault.kind:
        case FaultKind.STREAM_ERROR:
            await reply.chunk(sse.error_event("overloaded_error", "Overloaded", reply.request_id))
        case FaultKind.RESET:
            reply.reset()
        case _:
            await asyncio.sleep(fault.seconds)


async def _send(events: list[bytes], pace_seconds: float, reply: Reply) -> None:
    if not pace_seconds:
        await reply.chunk(b"".join(events))
        return
    for event in events:
        await reply.chunk(event)
        await asyncio.sleep(pace_seconds)
