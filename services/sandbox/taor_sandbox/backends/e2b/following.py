"""Following a command over a connection that may break: each new bridge begins where the one before was cut."""

import asyncio
from collections.abc import AsyncIterator

from taor_sandbox.agent.messages import State
from taor_sandbox.backends.e2b.bridge import Bridge
from taor_sandbox.backends.e2b.channel import Channel
from taor_sandbox.backends.e2b.inside.frames import Frame, Output
from taor_sandbox.backends.e2b.inside.requests import Follow, Hello
from taor_sandbox.backends.e2b.settings import PAUSES_SECONDS
from taor_sandbox.backends.e2b.troubles import Passing, patiently
from taor_sandbox.backends.errors import SandboxUnreachable
from taor_sandbox.backends.port import Dead, Exited, Live, Offsets, OutputChunk, Stream, Unclaimed
from taor_sandbox.backends.states import state_of


async def follow(
    channel: Channel, op_id: str, offsets: Offsets, silence_seconds: float
) -> AsyncIterator[OutputChunk | Exited | Dead | Unclaimed]:
    """Yield what the outputs have beyond `offsets` as they grow, then the end state.

    Raises SandboxUnreachable after several breaks without a byte between them, or when nothing answers in a silence."""
    at = {Stream.STDOUT: offsets.stdout, Stream.STDERR: offsets.stderr}
    breaks = 0
    while True:
        try:
            async with channel.opened(Follow(op_id, at[Stream.STDOUT], at[Stream.STDERR])) as bridge:
                while isinstance(frame := await _next(channel, bridge, silence_seconds), Output):
                    chunk = OutputChunk(Stream(frame.stream), frame.offset, frame.data)
                    at[chunk.stream] = chunk.offset + len(chunk.data)
                    breaks = 0
                    yield chunk
            if isinstance(frame, State):
                yield _end(frame)
                return
        except Passing:
            if breaks == len(PAUSES_SECONDS):
                raise
            await asyncio.sleep(PAUSES_SECONDS[breaks])
            breaks += 1


async def _next(channel: Channel, bridge: Bridge, silence_seconds: float) -> Frame:
    """The next frame. A paused sandbox cuts no connection, so in a long silence the agent is asked by another one."""
    waiting = asyncio.ensure_future(bridge.next())
    try:
        while not (await asyncio.wait({waiting}, timeout=silence_seconds))[0]:
            await patiently(lambda: _greet(channel))
        return waiting.result()
    finally:
        waiting.cancel()


async def _greet(channel: Channel) -> None:
    async with channel.opened(Hello()) as bridge:
        await bridge.only()


def _end(state: State) -> Exited | Dead | Unclaimed:
    end = state_of(state)
    if isinstance(end, Live):
        raise SandboxUnreachable("a follower left a command that runs")
    return end
