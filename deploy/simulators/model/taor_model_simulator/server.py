"""The sockets: accepts connections, answers the requests of each in order, and turns refusals into error bodies."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from taor_model_simulator.errors import Disconnected, Refused
from taor_model_simulator.http import Reply, read_request
from taor_model_simulator.simulator import Simulator

log = logging.getLogger(__name__)

BUFFER_BYTES = 1024 * 1024  # a long history arrives in few pieces; also the limit of a request head


@asynccontextmanager
async def running(simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve inside the block; gives the base URL. Port 0 takes a free one. Leaving closes every connection."""
    connections = _Connections(simulator)
    server = await asyncio.start_server(connections.accept, host, port, limit=BUFFER_BYTES, backlog=1024)
    bound_host, bound_port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{bound_host}:{bound_port}"
    finally:
        server.close()
        await connections.close()


class _Connections:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._tasks: set[asyncio.Task[None]] = set()
        # A boot mark in front: two runs of the server never give the same request id.
        self._request_ids = (
            f"req_{boot}{number:08d}" for boot in (secrets.token_hex(4),) for number in itertools.count(1)
        )

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (Disconnected, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, or we are closing: nobody is left to tell
        finally:
            writer.close()
            self._tasks.discard(task)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may go on."""
        reply = Reply(writer, next(self._request_ids))
        try:
            call = await read_request(reader)
        except Refused as refused:  # the rest of a malformed request cannot be told from the next one
            await _refuse(reply, refused)
            return False
        if call is None:
            return False
        try:
            await self._simulator.handle(call, reply)
        except Refused as refused:
            await _refuse(reply, refused)
        except (Disconnected, ConnectionError):
            raise
        except Exception:  # the boundary of a request: a bug in one answer must not end the server
            log.exception("request %s failed", reply.request_id)
            if reply.begun:
                reply.reset()
            await _refuse(reply, Refused("Internal server error", status=500, kind="api_error"))
        return call.headers.get("connection", "").lower() != "close"


async def _refuse(reply: Reply, refused: Refused) -> None:
    error: dict[str, object] = {"type": refused.kind, "message": refused.message}
    if refused.code:
        error["details"] = {"error_code": refused.code}
    body = {"type": "error", "error": error, "request_id": reply.request_id}
    await reply.whole(refused.status, orjson.dumps(body), retry_after=refused.retry_after)
