"""Shows a port of a sandbox in a browser, at `http://<token>.localhost:PORT/`: one origin per build and port.

A connection carries one request. Its head is read here, checked and rewritten; after that bytes are passed on in both
directions, so that WebSockets, event streams and uploads of any size work.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from taor_chassis.clock import Clock
from taor_sandbox import tokens
from taor_sandbox.backends.errors import BackendError, PortRefused
from taor_sandbox.errors import StaleGeneration
from taor_sandbox.http_head import BadHead, Head, parse
from taor_sandbox.preview_pages import Page, page
from taor_sandbox.pump import Stream, pump
from taor_sandbox.records import Build, BuildState
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.builds import Builds
from taor_sandbox.tokens import Preview, Tokens

MAX_HEAD_BYTES = 64 * 1024
_HEAD_SECONDS = 30.0
_MOST_CONNECTIONS = 1_000
_DOMAIN = ".localhost"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """A program, the head that it is to hear, and how long whoever asks may speak to it."""

    head: bytes
    program: Stream
    seconds_left: float


class PreviewServer:
    """Serves every preview of this installation on one port."""

    def __init__(self, builds: Builds, sessions: Sessions, signed: Tokens, clock: Clock) -> None:
        self._builds, self._sessions, self._tokens, self._clock = builds, sessions, signed, clock
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, listen: str) -> AsyncIterator[None]:
        """Listen inside the block; open connections are cut at its end."""
        host, _, port = listen.rpartition(":")
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(connections) >= _MOST_CONNECTIONS:
                writer.close()
                return
            task = asyncio.create_task(self._serve(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, host or None, int(port), limit=MAX_HEAD_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    def url(self, tenant_id: str, preview: Preview) -> str:
        """The address of a preview."""
        return f"http://{self._tokens.make(tenant_id, preview)}{_DOMAIN}:{self.port}/"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the browser went away, or never said anything
        except Exception:  # the connection's boundary: the others go on
            _log.exception("a preview failed")
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = parse(await reader.readuntil(b"\r\n\r\n"))
        except (BadHead, asyncio.LimitOverrunError):
            return await _show(writer, Page.BAD_REQUEST)
        found = await self._dial(head)
        if isinstance(found, Page):
            return await _show(writer, found)
        try:
            found.program[1].write(found.head)
            async with asyncio.timeout(found.seconds_left):  # a WebSocket has no end of its own
                await pump((reader, writer), found.program)
        finally:
            found.program[1].close()
        return None

    async def _dial(self, head: Head) -> _Found | Page:
        """A connection with the program, or the page that says why there is none."""
        token = _token(head.host)
        preview = tokens.read(token) if token else None
        build = await self._builds.of_preview(preview.build_id) if preview else None
        if preview is None or token is None or build is None or not self._tokens.verify(token, build.key.tenant_id):
            return Page.UNKNOWN
        seconds_left = preview.expires_at - self._clock.now().timestamp()
        if seconds_left <= 0:
            return Page.EXPIRED
        if not build.runs:
            return _page_of(build)
        try:
            sandbox = await self._sessions.sandbox(build)
            stream = await sandbox.connect(preview.port)
        except PortRefused:
            return Page.NO_PROGRAM
        except StaleGeneration:
            return Page.GONE
        except BackendError:
            await self._sessions[build.key].let_go()
            return Page.GONE
        return _Found(head.rewritten(f"{token}{_DOMAIN}", preview.port), stream, seconds_left)


def _token(host: str) -> str | None:
    """The token of a Host header; None for any other name, so that no other site can point here."""
    name = host.rpartition(":")[0] if ":" in host else host
    label, dot, domain = name.lower().partition(".")
    return label if dot + domain == _DOMAIN else None


def _page_of(build: Build) -> Page:
    match build.state:
        case BuildState.PREPARING:
            return Page.PREPARING
        case BuildState.PAUSED:
            return Page.ASLEEP
        case _:
            return Page.GONE


async def _show(writer: asyncio.StreamWriter, which: Page) -> None:
    writer.write(page(which))
    await writer.drain()
