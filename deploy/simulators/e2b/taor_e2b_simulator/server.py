"""The socket: uvicorn in front of the simulator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from taor_e2b_simulator.simulator import Simulator

_BACKLOG = 512


class _Server(uvicorn.Server):
    """Signals belong to whoever runs this server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve inside the block; gives the base URL. Port 0 takes a free one. Leaving destroys every sandbox."""
    # uvicorn turns Nagle's algorithm off only where the protocol is spelled out: 48 ms a call otherwise.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    config = uvicorn.Config(
        simulator, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        bound_host, bound_port = listener.getsockname()
        yield f"http://{bound_host}:{bound_port}"
    finally:
        server.should_exit = True
        await task
        await simulator.shelf.close()
        listener.close()
