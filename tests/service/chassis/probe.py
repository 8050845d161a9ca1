"""A service without contract for tests of the chassis: four methods over bytes, their behaviour given by the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from taor_chassis.client import open_channel
from taor_chassis.guard import Context
from taor_chassis.server import Registration, running_server

SERVICE = "taor.test.Probe"
TOKEN = "a-token-for-tests"

Unary = Callable[[Any, Context], Awaitable[bytes]]
Streaming = Callable[[Any, Context], AsyncIterator[bytes]]


async def echo(request: bytes, context: Context) -> bytes:
    """Answer with the request."""
    return request


def registration(
    *,
    unary: Unary = echo,
    server_stream: Streaming | None = None,
    client_stream: Unary | None = None,
    both_stream: Streaming | None = None,
) -> Registration:
    """The service with the behaviours of a test."""
    handlers: dict[str, Any] = {"Unary": grpc.unary_unary_rpc_method_handler(unary)}
    if server_stream:
        handlers["ServerStream"] = grpc.unary_stream_rpc_method_handler(server_stream)
    if client_stream:
        handlers["ClientStream"] = grpc.stream_unary_rpc_method_handler(client_stream)
    if both_stream:
        handlers["BothStream"] = grpc.stream_stream_rpc_method_handler(both_stream)
    generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
    return Registration(SERVICE, lambda server: server.add_generic_rpc_handlers((generic,)))


class Probe:
    """The methods of the service as a client calls them."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self.channel = channel
        self.address = address
        self.unary: Any = channel.unary_unary(f"/{SERVICE}/Unary")
        self.server_stream: Any = channel.unary_stream(f"/{SERVICE}/ServerStream")
        self.client_stream: Any = channel.stream_unary(f"/{SERVICE}/ClientStream")
        self.both_stream: Any = channel.stream_stream(f"/{SERVICE}/BothStream")


@asynccontextmanager
async def probing(service: Registration, *, bare: bool = False, **options: Any) -> AsyncIterator[Probe]:
    """A running server and a client of it; a bare client adds neither token nor deadline."""
    async with running_server(services=[service], token=TOKEN, drain_seconds=1.0) as address:
        channel = grpc.aio.insecure_channel(address) if bare else open_channel(address, token=TOKEN, **options)
        async with channel:
            yield Probe(channel, address)


async def failure(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"the call was answered with {answer!r}")


async def collect(stream: AsyncIterator[bytes]) -> list[bytes]:
    """All responses of a stream."""
    return [response async for response in stream]
