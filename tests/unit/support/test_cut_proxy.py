"""The proxy breaks what it says that it breaks, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.cut_proxy import CutProxy, Fault, cut_proxy

A_MOMENT_SECONDS = 0.05
SOON_SECONDS = 5.0


class Echo:
    """A server that says back what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.met = 0
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes."""
        self.met += 1
        try:
            while piece := await reader.read(100):
                self.heard += piece
                writer.write(piece)
        except ConnectionError:
            pass
        writer.transport.abort()
        self.lost += 1


@asynccontextmanager
async def echo_behind_proxy() -> AsyncIterator[tuple[Echo, CutProxy, str]]:
    """An echo, the proxy before it, and the address of the proxy."""
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with cut_proxy("{}:{}".format(*server.sockets[0].getsockname())) as (proxy, address):
        yield echo, proxy, address
    await until(lambda: echo.lost == echo.met)
    server.close()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of the proxy."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def is_reset(reader: asyncio.StreamReader) -> bool:
    """Whether the connection breaks, soon and without another byte."""
    try:
        return await asyncio.wait_for(reader.read(1), SOON_SECONDS) == b""
    except ConnectionError:
        return True


async def is_silent(answer: Awaitable[bytes]) -> bool:
    """Whether nothing arrives for a moment."""
    try:
        await asyncio.wait_for(answer, A_MOMENT_SECONDS)
    except TimeoutError:
        return True
    return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the condition."""
    async with asyncio.timeout(SOON_SECONDS):
        while not condition():  # noqa: ASYNC110 - the server knows nothing of its observer
            await asyncio.sleep(0.001)


async def test_without_a_fault_everything_passes() -> None:
    async with echo_behind_proxy() as (_, proxy, address), connected(address) as (reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert proxy.connections == 1


async def test_a_cut_resets_old_and_new_connections_until_it_is_mended() -> None:
    async with echo_behind_proxy() as (echo, proxy, address):
        async with connected(address) as (reader, writer):
            writer.write(b"a")
            await reader.readexactly(1)
            await proxy.set(Fault.CUT)
            assert await is_reset(reader)
            await until(lambda: echo.lost == 1)
        async with connected(address) as (reader, writer):
            assert await is_reset(reader)
        await proxy.set(Fault.NONE)
        async with connected(address) as (reader, writer):
            writer.write(b"b")
            assert await reader.readexactly(1) == b"b"


async def test_in_a_black_hole_nothing_arrives_until_later() -> None:
    async with echo_behind_proxy() as (echo, proxy, address), connected(address) as (reader, writer):
        await proxy.set(Fault.BLACK_HOLE)
        writer.write(b"a")
        assert await is_silent(reader.read(1))
        assert echo.heard == b""
        await proxy.set(Fault.NONE)
        assert await reader.readexactly(1) == b"a"


async def test_a_mute_server_hears_and_its_answers_come_later() -> None:
    async with echo_behind_proxy() as (echo, proxy, address), connected(address) as (reader, writer):
        await proxy.set(Fault.MUTE)
        writer.write(b"a")
        await until(lambda: echo.heard == b"a")
        assert await is_silent(reader.read(1))
        await proxy.set(Fault.NONE)
        assert await reader.readexactly(1) == b"a"


async def test_a_half_open_server_does_not_know_that_its_client_is_gone() -> None:
    async with echo_behind_proxy() as (echo, proxy, address), connected(address) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(1)
        await proxy.set(Fault.HALF_OPEN)
        assert await is_reset(reader)
        assert echo.lost == 0
        await proxy.set(Fault.NONE)
        await until(lambda: echo.lost == 1)


async def test_it_cuts_after_that_many_bytes_of_an_answer() -> None:
    async with echo_behind_proxy() as (_, proxy, address), connected(address) as (reader, writer):
        proxy.cut_after(answer_bytes=8)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"hello")
        await until(lambda: proxy.fault is Fault.CUT)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(5)


async def test_it_cuts_after_that_many_bytes_of_a_request_and_for_good() -> None:
    async with echo_behind_proxy() as (_, proxy, address):
        async with connected(address) as (reader, writer):
            proxy.cut_after(request_bytes=8)
            writer.write(b"hello, hello")
            assert await is_reset(reader)
            assert proxy.fault is Fault.CUT
        async with connected(address) as (reader, _):
            assert await is_reset(reader)


async def test_it_can_be_slow() -> None:
    async with echo_behind_proxy() as (_, proxy, address), connected(address) as (reader, writer):
        proxy.delay_seconds = A_MOMENT_SECONDS
        loop = asyncio.get_running_loop()
        started = loop.time()
        writer.write(b"a")
        await reader.readexactly(1)
        assert loop.time() - started >= 2 * A_MOMENT_SECONDS
