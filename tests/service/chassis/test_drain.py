"""A server that stops: calls may end, then are cancelled, and have cleaned up before the parts below are closed."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from taor_chassis.client import open_channel
from taor_chassis.guard import Context
from taor_chassis.server import ListenError, running_server
from tests.service.chassis.probe import TOKEN, Probe, failure, probing, registration


async def test_a_call_beyond_the_drain_is_cancelled_and_cleans_up_before_the_server_is_gone() -> None:
    happened: list[str] = []
    began = asyncio.Event()

    async def hang(request: bytes, context: Context) -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)  # a clean-up that takes a while
            happened.append("cleaned up")
        return b""

    async with running_server(services=[registration(unary=hang)], token=TOKEN, drain_seconds=0.1) as address:
        channel = open_channel(address, token=TOKEN)
        hanging = asyncio.ensure_future(failure(Probe(channel, address).unary(b"", timeout=60)))
        await began.wait()
    happened.append("server gone")
    assert happened == ["cleaned up", "server gone"]
    assert (await hanging).code() is grpc.StatusCode.UNAVAILABLE
    await channel.close()


async def test_a_block_that_fails_drains_its_server_too() -> None:
    stopping = asyncio.Event()

    async def tick(request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield b"tick"
        await stopping.wait()

    streams: list[grpc.aio.UnaryStreamCall[bytes, bytes]] = []

    async def fail_while_streaming() -> None:
        service = registration(server_stream=tick)
        async with running_server(services=[service], token=TOKEN, stopping=stopping, drain_seconds=60) as address:
            streams.append(Probe(open_channel(address, token=TOKEN), address).server_stream(b""))
            assert await streams[0].read() == b"tick"
            raise LookupError("as a background loop may")

    with pytest.raises(LookupError):
        await asyncio.wait_for(fail_while_streaming(), 50)
    assert await streams[0].read() is grpc.aio.EOF


async def test_a_second_server_on_the_same_port_is_refused() -> None:
    async with probing(registration()) as probe:
        with pytest.raises(ListenError, match="is another server running there"):
            await running_server(services=[], token=TOKEN, listen=probe.address).__aenter__()
