"""A gRPC server of a service: starts, tells its health, drains on SIGTERM, stops."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_NAME
from grpc_reflection.v1alpha import reflection

from taor_chassis.guard import Guard
from taor_chassis.health import Health
from taor_chassis.identity import SharedToken
from taor_chassis.symbols import Symbols
from taor_chassis.transport import SERVER_OPTIONS

DRAIN_SECONDS = 10.0
CLEANUP_SECONDS = 2.0

_log = logging.getLogger(__name__)


class ListenError(Exception):
    """The address cannot be served on."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One gRPC service: its full proto name, and what adds its servicer to a server.

    `Registration("taor.budget.v1.BudgetService", partial(add_BudgetServiceServicer_to_server, servicer))`
    """

    service_name: str
    add: Callable[[grpc.aio.Server], None]


async def serve(
    *,
    listen: str,
    services: Sequence[Registration],
    token: str,
    stopping: asyncio.Event,
    drain_seconds: float = DRAIN_SECONDS,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: NOT_SERVING, `stopping` is set, open calls get `drain_seconds`."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    async with running_server(
        listen=listen, services=services, token=token, stopping=stopping, drain_seconds=drain_seconds
    ) as address:
        _log.info("serving", extra={"address": address})
        await asked.wait()
        _log.info("draining")
    _log.info("stopped")


@asynccontextmanager
async def running_server(
    *,
    services: Sequence[Registration],
    token: str,
    listen: str = "127.0.0.1:0",
    stopping: asyncio.Event | None = None,
    drain_seconds: float = DRAIN_SECONDS,
) -> AsyncIterator[str]:
    """A server that is up inside the block, and drained after it; yields the address that clients dial."""
    stopping = stopping or asyncio.Event()
    guard = Guard(SharedToken(token))
    server = grpc.aio.server(interceptors=[guard], options=SERVER_OPTIONS)
    for service in services:
        service.add(server)
    draining = asyncio.Event()
    _add_standard_services(server, services, draining)
    address = _bind(server, listen)
    await server.start()
    try:
        yield address
    finally:
        draining.set()
        stopping.set()
        await server.stop(drain_seconds)
        await guard.finish(CLEANUP_SECONDS)


def _bind(server: grpc.aio.Server, listen: str) -> str:
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError:  # grpc's own text only names variables for debugging it
        raise ListenError(f"cannot listen on {listen}; is another server running there?") from None
    if listen.startswith("unix:"):
        return listen
    return f"{listen.rpartition(':')[0]}:{port}"


def _add_standard_services(server: grpc.aio.Server, services: Sequence[Registration], draining: asyncio.Event) -> None:
    names = [service.service_name for service in services]
    health_pb2_grpc.add_HealthServicer_to_server(Health(names, draining), server)
    reflection.enable_server_reflection([*names, HEALTH_NAME, reflection.SERVICE_NAME], server, pool=Symbols())
