"""A proxy between two processes that can cut, silence and slow down what passes, as a network does."""

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

CHUNK_BYTES = 65536
# Linger for no time at all: closing resets the connection, instead of ending it in good order.
RESET = struct.pack("ii", 1, 0)
UNIX = "unix:"


class Fault(Enum):
    """What is wrong with the way between the two."""

    NONE = auto()
    CUT = auto()
    """Connections are reset, and new ones too."""
    BLACK_HOLE = auto()
    """Nothing arrives and nothing fails; what was sent arrives when the fault is over, as with lost packets."""
    MUTE = auto()
    """What the client says arrives; the answers do not, until the fault is over."""
    HALF_OPEN = auto()
    """The client is reset, its server is not told: it goes on, and its answers are lost."""


class CutProxy:
    """Passes bytes on between clients and one server; addresses are `host:port` or `unix:path`."""

    def __init__(self, server_address: str) -> None:
        self.server_address = server_address
        self.delay_seconds = 0.0
        """How long every piece is kept back, in both directions."""
        self.connections = 0
        """How many there were so far."""
        self._fault = Fault.NONE
        self._answer_bytes_left = self._request_bytes_left = math.inf
        self._changed = asyncio.Condition()
        self._ways: set[_Way] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._parked: list[asyncio.StreamWriter] = []

    @property
    def fault(self) -> Fault:
        """What is wrong at present."""
        return self._fault

    async def set(self, fault: Fault) -> None:
        """Break the way, or mend it with `Fault.NONE`."""
        self._fault = fault
        if fault in (Fault.CUT, Fault.HALF_OPEN):
            for way in self._ways:
                way.reset(keep_server=fault is Fault.HALF_OPEN)
        if fault is Fault.NONE:
            self._drop_parked()
        async with self._changed:
            self._changed.notify_all()

    def cut_after(self, *, answer_bytes: int | None = None, request_bytes: int | None = None) -> None:
        """Cut by itself, once that many more bytes have come from the server, or from its clients.

        The last piece is cut in its midst: so it is certain that a longer transfer fails, however fast it is.
        """
        self._answer_bytes_left = math.inf if answer_bytes is None else answer_bytes
        self._request_bytes_left = math.inf if request_bytes is None else request_bytes

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one client's connection until either side ends it."""
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        """Reset whatever is left."""
        await self.set(Fault.CUT)
        if self._serving:
            await asyncio.wait(self._serving)
        self._drop_parked()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._fault in (Fault.CUT, Fault.HALF_OPEN):
            _reset(writer)
            return
        try:
            server_reader, server_writer = await _connect(self.server_address)
        except OSError:
            _reset(writer)
            return
        way = _Way(writer, server_writer)
        self._ways.add(way)
        to_server = asyncio.ensure_future(self._pump(reader, server_writer, answers=False))
        to_client = asyncio.ensure_future(self._pump(server_reader, writer, answers=True))
        try:
            await asyncio.wait((to_server, to_client), return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.cancel()
            to_client.cancel()
            await asyncio.wait((to_server, to_client))
            self._ways.discard(way)
            self._end(way)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                async with self._changed:
                    await self._changed.wait_for(lambda: not self._holds_back(answers=answers))
                writer.write(self._within(piece, answers=answers))
                await writer.drain()
                if not (self._answer_bytes_left and self._request_bytes_left):
                    self.cut_after()
                    await self.set(Fault.CUT)

    def _holds_back(self, *, answers: bool) -> bool:
        return self._fault is Fault.BLACK_HOLE or (answers and self._fault is Fault.MUTE)

    def _within(self, piece: bytes, *, answers: bool) -> bytes:
        """As much of it as may still pass."""
        left = self._answer_bytes_left if answers else self._request_bytes_left
        passed = piece[: int(min(left, len(piece)))]
        if answers:
            self._answer_bytes_left -= len(passed)
        else:
            self._request_bytes_left -= len(passed)
        return passed

    def _end(self, way: "_Way") -> None:
        _reset(way.client)
        if way.keep_server and self._fault is Fault.HALF_OPEN:
            self._parked.append(way.server)
        else:
            _reset(way.server)

    def _drop_parked(self) -> None:
        for writer in self._parked:
            _reset(writer)
        self._parked.clear()


class _Way:
    """The two ends of one connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.keep_server = False

    def reset(self, *, keep_server: bool) -> None:
        self.keep_server = keep_server
        _reset(self.client)


@asynccontextmanager
async def cut_proxy(server_address: str, listen: str = "127.0.0.1:0") -> AsyncIterator[tuple[CutProxy, str]]:
    """A proxy before that server, and the address where its clients find it."""
    proxy = CutProxy(server_address)
    if listen.startswith(UNIX):
        server: asyncio.Server = await asyncio.start_unix_server(proxy.serve, listen.removeprefix(UNIX))
        address = listen
    else:
        host, _, port = listen.rpartition(":")
        server = await asyncio.start_server(proxy.serve, host, int(port))
        address = "{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield proxy, address
    finally:
        server.close()
        await proxy.close()


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith(UNIX):
        return await asyncio.open_unix_connection(address.removeprefix(UNIX))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


def _reset(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may be closed already
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
