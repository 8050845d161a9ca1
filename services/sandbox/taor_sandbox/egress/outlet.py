"""The proxy of one sandbox: it listens inside, decides here, and connects from here."""

import asyncio
import contextlib
import logging
import socket

from taor_sandbox.egress.addresses import is_public, unmapped
from taor_sandbox.egress.allowlist import AllowList, normal
from taor_sandbox.egress.client_hello import MAX_BYTES, NoClientHello, server_name
from taor_sandbox.egress.network import Network
from taor_sandbox.egress.refusals import Refusal, Refusals
from taor_sandbox.egress.request import HTTP, HTTPS, MAX_HEAD_BYTES, Plain, Tunnel, parse
from taor_sandbox.http_head import BadHead
from taor_sandbox.pump import Stream, pump

_HEAD_SECONDS = 30.0
_DIAL_SECONDS = 10.0
_MOST_ADDRESSES = 3
_MOST_CONNECTIONS = 64
_CHUNK_BYTES = 4096

_log = logging.getLogger(__name__)


class Outlet:
    """Serves the commands of one sandbox, as long as it is not closed."""

    def __init__(self, allow: AllowList, network: Network) -> None:
        self._allow, self._network = allow, network
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.refusals = Refusals()

    async def listen(self, listener: socket.socket) -> None:
        """Accept here what comes to this socket, from now on instead of any former one; it becomes ours."""
        if self._server is not None:
            self._server.close()
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=MAX_HEAD_BYTES)

    async def close(self) -> None:
        """Accept nothing more, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._serve((reader, writer)))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, command: Stream) -> None:
        _, writer = command
        try:
            await self._answer(command)
        except Refusal as refusal:
            writer.write(refusal.response())
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # either side went away, or never said anything
        except Exception:  # the connection's boundary: the others go on
            _log.exception("a connection of a sandbox failed")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, command: Stream) -> None:
        request = await _request(command)
        origin = await self._connect(request.host, request.port, HTTPS if isinstance(request, Tunnel) else HTTP)
        try:
            match request:
                case Tunnel(host):
                    await self._tunnel(host, command, origin)
                case Plain(_, _, head, body_bytes):
                    origin[1].write(head)
                    await pump(command, origin, most_bytes=body_bytes)
        finally:
            origin[1].close()

    async def _connect(self, host: str, port: int, allowed_port: int) -> Stream:
        """A connection with the host, if it may be had; raises Refusal. Resolved once: a name cannot move meanwhile."""
        if not self._allow.allows(host):
            raise self.refusals.refuse(host)
        if port != allowed_port:
            raise self.refusals.refuse(f"{host}:{port}")
        addresses = (await self._network.resolve(host))[:_MOST_ADDRESSES]
        for address in addresses:
            if not is_public(address) or self._network.is_own(unmapped(address)):
                raise self.refusals.refuse(f"{host} at {address}")
        for address in addresses:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_DIAL_SECONDS):
                    return await self._network.dial(address, port)
        raise Refusal(502, f"{host} does not answer" if addresses else f"{host} was not found")

    async def _tunnel(self, host: str, command: Stream, origin: Stream) -> None:
        """Pass TLS on, if it asks for the very host that the tunnel was asked for."""
        reader, writer = command
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with asyncio.timeout(_HEAD_SECONDS):
            hello, name = await _client_hello(reader)
        if normal(name) != host:
            self.refusals.note(name or "a nameless host")
            return
        origin[1].write(hello)
        await pump(command, origin)


async def _request(command: Stream) -> Tunnel | Plain:
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            return parse(await command[0].readuntil(b"\r\n\r\n"))
    except BadHead as error:
        raise Refusal(400, str(error)) from error
    except asyncio.LimitOverrunError as error:
        raise Refusal(431, "the head is too long") from error


async def _client_hello(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    """The bytes up to the end of the ClientHello, or further, and the name in it; a bad one names nothing."""
    hello = b""
    while len(hello) < MAX_BYTES and (piece := await reader.read(_CHUNK_BYTES)):
        hello += piece
        try:
            name = server_name(hello)
        except NoClientHello:
            break
        if name is not None:
            return hello, name
    return hello, ""
