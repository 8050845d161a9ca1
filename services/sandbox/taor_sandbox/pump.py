"""Passes bytes between two connections, for as long as one of them has something to say."""

import asyncio
import sys
from typing import TypeAlias

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_IDLE_SECONDS = 600.0
_CHUNK_BYTES = 64 * 1024


async def pump(asking: Stream, answering: Stream, *, most_bytes: int = sys.maxsize) -> None:
    """Pass bytes on until the answer has ended, or either side is gone; no more than `most_bytes` of the question."""
    up = asyncio.create_task(_copy(asking[0], answering[1], most_bytes))
    try:
        await _copy(answering[0], asking[1], sys.maxsize)
    finally:
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, most_bytes: int) -> None:
    while most_bytes > 0:
        async with asyncio.timeout(_IDLE_SECONDS):
            data = await source.read(min(_CHUNK_BYTES, most_bytes))
        if not data:
            if target.can_write_eof():
                target.write_eof()
            return
        most_bytes -= len(data)
        target.write(data)
        await target.drain()
