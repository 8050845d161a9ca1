"""An idle connection stays up: the server tolerates as many pings as its clients send."""

import asyncio

import grpc
import pytest

from taor_chassis.transport import CLIENT_OPTIONS, SERVER_OPTIONS, ChannelOptions
from tests.service.chassis.probe import registration

IDLE_SECONDS = 5  # a server that tolerates too little says so at the third ping
PACE = 20  # gRPC sends no more than one ping a second


def hurried(options: ChannelOptions) -> ChannelOptions:
    """The same options with the intervals of pings cut to a twentieth: 20 s become 1 s."""
    paced = ("keepalive_time_ms", "interval_without_data_ms")
    return tuple((name, int(value) // PACE if name.endswith(paced) else value) for name, value in options)


async def test_pings_of_an_idle_client_are_not_too_many() -> None:
    server = grpc.aio.server(options=hurried(SERVER_OPTIONS))
    registration().add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=hurried(CLIENT_OPTIONS)) as channel:
            await channel.channel_ready()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
    finally:
        await server.stop(None)
