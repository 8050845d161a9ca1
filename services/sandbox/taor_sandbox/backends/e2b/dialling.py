"""A TCP connection to a port inside, carried by a bridge."""

import asyncio
import contextlib
import socket

from taor_sandbox.agent.messages import Done
from taor_sandbox.backends.e2b.bridge import Bridge
from taor_sandbox.backends.e2b.channel import Channel
from taor_sandbox.backends.e2b.inside.frames import Output
from taor_sandbox.backends.e2b.inside.requests import Dial
from taor_sandbox.backends.errors import BackendError, PortRefused

_CHUNK_BYTES = 64 * 1024
_LINGER_SECONDS = 60.0
"""How long an answer may pause after our side has said its last word."""


async def connect(channel: Channel, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream whose other end is the port; raises PortRefused when nothing listens there."""
    ours, carried = socket.socketpair()
    try:
        connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.keep(asyncio.create_task(_carry(channel, port, carried, connected)))
        await connected
        return await asyncio.open_connection(sock=ours)
    except BaseException:  # a caller that is cancelled leaves no socket either
        ours.close()
        raise


async def _carry(channel: Channel, port: int, carried: socket.socket, connected: "asyncio.Future[None]") -> None:
    """The task that is the connection: it ends with either side, and closes the other."""
    reader, writer = await asyncio.open_connection(sock=carried)
    try:
        async with channel.opened(Dial(port), stdin=True) as bridge:
            if not isinstance(await bridge.next(), Done):
                raise PortRefused(f"nothing inside accepts connections on port {port}")
            connected.set_result(None)
            await _pump(bridge, reader, writer)
    except BackendError as error:
        if not connected.done():
            connected.set_exception(error)
    finally:
        writer.close()
        if not connected.done():
            connected.cancel()


async def _pump(bridge: Bridge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    outgoing = asyncio.create_task(_send(bridge, reader))
    try:
        while True:
            frame = asyncio.ensure_future(bridge.next())
            # After our last word an answer may still come, but not for ever: nobody may be left to read it.
            while not (await asyncio.wait([frame], timeout=_LINGER_SECONDS))[0]:
                if outgoing.done():
                    frame.cancel()
                    return
            if not isinstance(got := await frame, Output):
                return
            writer.write(got.data)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            if writer.is_closing():
                return
    finally:
        outgoing.cancel()
        await asyncio.wait([outgoing])


async def _send(bridge: Bridge, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(BackendError):  # the other direction hears of it
        while data := await reader.read(_CHUNK_BYTES):
            await bridge.send(data)
        await bridge.end_input()
