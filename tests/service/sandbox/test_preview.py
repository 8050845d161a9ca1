"""Previews: a browser's view into a sandbox."""

import asyncio
import time
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.tokens import Tokens, read
from tests.service.sandbox.harness import Harness, reason_of

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(f"{self.path} {self.headers['Host']} {self.headers['Origin']}".encode())
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
# Another protocol: after its head, every message comes back turned round.
TURNER = r"""
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        head = b""
        while line := self.rfile.readline():
            head += line
            if line == b"\r\n":
                self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + head.upper())
                break
        while message := self.rfile.readline():
            self.wfile.write(message.strip()[::-1] + b"\n")
socketserver.ThreadingTCPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
# The server's half of RFC 6455 for one short message: it answers the handshake, and sends back what it was told.
ECHO = r"""
import base64, hashlib, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        head = iter(self.rfile.readline, b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head)}
        if b"sec-websocket-key" not in headers:
            return
        proof = hashlib.sha1(headers[b"sec-websocket-key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        self.wfile.write(b"Sec-WebSocket-Accept: " + base64.b64encode(proof) + b"\r\n\r\n")
        while frame := self.rfile.read(2):
            mask, masked = self.rfile.read(4), self.rfile.read(frame[1] & 127)
            message = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
            self.wfile.write(bytes((frame[0], len(message))) + message)
socketserver.ThreadingTCPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
KNOCK = "import socket; socket.create_connection(('127.0.0.1', 8000)).close()"


async def ask(
    url: str, *, method: str = "GET", path: str = "/", host: str = "", headers: str = "", body: bytes = b""
) -> str:
    """One request as a browser sends it: the name resolves to this machine, and stands in the Host header."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host or parts.netloc}\r\n{length}{headers}\r\n".encode() + body)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer.decode()


async def serve(harness: Harness, program: str) -> str:
    """Start a program inside, wait until it listens, and return its address."""
    await harness.attach()
    await harness.write(1, "server.py", program)
    await harness.bash(2, "python3 server.py", background=True)
    await harness.bash(3, f'until python3 -c "{KNOCK}"; do sleep 0.05; done')
    return await harness.preview(8000)


async def test_a_program_is_seen_and_never_hears_the_token(harness: Harness) -> None:
    url = await serve(harness, SERVER)
    token = urlsplit(url).netloc.partition(".")[0]
    origin = f"Origin: {url.rstrip('/')}\r\n"
    answer = await ask(url, path="/page?x=1", headers=origin)
    assert answer.startswith("HTTP/1.0 200")
    assert answer.endswith("/page?x=1 localhost:8000 http://localhost:8000")
    assert token not in answer
    big = b"x" * 1_000_000
    assert (await ask(url, method="POST", headers="Expect:\r\n", body=big)).endswith("x" * 1_000_000)


async def test_another_protocol_passes_through(harness: Harness) -> None:
    url = await serve(harness, TURNER)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    writer.write(
        f"GET / HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n".encode()
    )
    async with asyncio.timeout(10):
        assert b"101 Switching" in await reader.readuntil(b"\r\n\r\n")
        assert b"CONNECTION: UPGRADE" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"abc\n")
        assert await reader.readline() == b"cba\n"
    writer.close()


async def test_a_web_socket_passes_through(harness: Harness) -> None:
    parts = urlsplit(await serve(harness, ECHO))
    headers = {"Host": parts.netloc, "Origin": f"http://{parts.netloc}"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://127.0.0.1:{parts.port}/live", headers=headers) as web_socket,
    ):
        for message in ("hello", "again"):
            await web_socket.send_str(message)
            assert await web_socket.receive_str(timeout=10) == message


async def test_an_address_ends_with_its_time(harness: Harness) -> None:
    url = await serve(harness, SERVER)
    granted = read(urlsplit(url).netloc.partition(".")[0])
    assert granted is not None
    assert 3600 < granted.expires_at - time.time() < 7 * 86_400
    over = replace(granted, expires_at=int(time.time()) - 1)
    host = f"{Tokens(harness.config.token).make('local', over)}.localhost:{urlsplit(url).port}"
    answer = await ask(url, host=host)
    assert answer.startswith("HTTP/1.1 410")
    assert "expired" in answer


async def test_what_is_open_ends_with_the_time_of_its_address(harness: Harness) -> None:
    parts = urlsplit(await serve(harness, TURNER))
    granted = read(parts.netloc.partition(".")[0])
    assert granted is not None
    for seconds in (2, 8, 32):  # on a busy machine the shorter ones may be over before the connection stands
        soon = replace(granted, expires_at=int(time.time()) + seconds)
        host = f"{Tokens(harness.config.token).make('local', soon)}.localhost:{parts.port}"
        reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: x\r\n\r\n".encode())
        if b"101 Switching" in await reader.readuntil(b"\r\n\r\n"):
            break
    async with asyncio.timeout(seconds + 10):
        await reader.read()
    assert time.time() > soon.expires_at - 0.1
    writer.close()


async def test_only_addresses_that_were_given_out_lead_anywhere(harness: Harness) -> None:
    url = await serve(harness, SERVER)
    name = urlsplit(url).netloc
    forged = ("a" if name[0] != "a" else "b") + name[1:]
    for host in (forged, "localhost", "evil.example", f"x.{name}", name.replace(".localhost", ".example")):
        assert (await ask(url, host=host)).startswith("HTTP/1.1 404"), host
    assert (await ask(url, method="get", path="no/slash")).startswith("HTTP/1.1 400")
    assert (await ask(url, headers=f"Host: {name}\r\n")).startswith("HTTP/1.1 400")


async def test_a_port_that_nobody_listens_on_is_said_to_be_silent(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "true")
    assert (await ask(await harness.preview(9999))).startswith("HTTP/1.1 502")


async def test_a_kept_sandbox_still_shows_and_a_dead_or_sleeping_one_says_so(harness: Harness) -> None:
    url = await serve(harness, SERVER)
    await harness.release(pb.ReleaseSandboxRequest.KEEP_FOR_PREVIEW)
    assert (await ask(url)).startswith("HTTP/1.0 200")
    await harness.lose_sandbox()
    gone = await ask(url)
    assert gone.startswith("HTTP/1.1 410")
    assert "is gone" in gone


async def test_a_sleeping_build_says_that_it_sleeps(harness: Harness) -> None:
    url = await serve(harness, SERVER)
    await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    assert "sleeps" in await ask(url)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.preview(8000)
    assert reason_of(raised) == "PREVIEW_UNAVAILABLE"
