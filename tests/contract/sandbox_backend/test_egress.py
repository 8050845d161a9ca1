"""What a command inside a local sandbox can reach, and what it cannot; no test leaves this machine."""

import asyncio
import datetime
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from taor_sandbox.backends.local.backend import LocalBackend, prepare
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.egress.allowlist import AllowList
from taor_sandbox.egress.gateway import Gateway
from taor_sandbox.egress.network import Connection, MachineNetwork, Network
from tests.support.fetching import fetch, lay_fetch
from tests.support.sandboxes import EPOCH, SMALL, make_ready, run

PUBLIC = "93.184.215.14"
ALLOWED = "origin.test, *.cdn.test, inside.test, moving.test, own.test, unknown.test"

SPEAK = 'import socket, ssl; s = socket.create_connection(("127.0.0.1", 3128)); '
TUNNEL = r's.sendall(b"CONNECT origin.test:443 HTTP/1.1\r\n\r\n"); s.recv(99); '
HIDDEN_NAME = 'ssl._create_unverified_context().wrap_socket(s, server_hostname="hidden.test")'


@dataclass
class StandIn(Network):
    """A network with one public server, which really is a server of this test."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answers = self.addresses.get(host, [])
        return [answers.pop(0)] if len(answers) > 1 else answers

    def is_own(self, address: str) -> bool:
        return address == "93.184.215.99"

    async def dial(self, address: str, port: int) -> Connection:
        self.dialled.append(address)
        assert address == PUBLIC
        return await asyncio.open_connection("127.0.0.1", self.ports[port])


class Origin:
    """A web server that keeps what it was asked."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")
        await writer.drain()
        if b"Content-Length" in self.heads[-1]:
            self.bodies.append(await reader.read(100))
        writer.close()


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
async def network(origin: Origin, tmp_path: Path) -> AsyncIterator[StandIn]:
    """The stand-in for the internet, with the origin on its ports 80 and 443."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path / "origin.pem"))
    plain = await asyncio.start_server(origin.answer, "127.0.0.1", 0)
    secure = await asyncio.start_server(origin.answer, "127.0.0.1", 0, ssl=context)
    async with plain, secure:
        standing = {name: [PUBLIC] for name in ("origin.test", "a.cdn.test")}
        yield StandIn(
            standing
            | {
                "inside.test": ["169.254.169.254"],
                "moving.test": [PUBLIC, "127.0.0.1"],
                "own.test": ["93.184.215.99"],
            },
            {80: plain.sockets[0].getsockname()[1], 443: secure.sockets[0].getsockname()[1]},
        )


@pytest.fixture
async def open_backend(network: StandIn, sandbox_root: Path) -> AsyncIterator[LocalBackend]:
    """A backend whose sandboxes may reach the stand-in's hosts."""
    backend = prepare(sandbox_root / "open", ownerless_seconds=20.0, gateway=Gateway(AllowList.parse(ALLOWED), network))
    yield backend
    for listing in await backend.list():
        await backend.destroy(listing.provider_id)
    await backend.close()


@pytest.fixture
async def inside(open_backend: LocalBackend) -> AsyncIterator[Sandbox]:
    """A sandbox with a way out."""
    made = await make_ready(await open_backend.create("build/1", SMALL))
    await lay_fetch(made)
    yield made
    await made.close()


async def speak(sandbox: Sandbox, script: str) -> str:
    """What a Python script prints that has a connection with the proxy in `s`."""
    said = await run(sandbox, f"python3 -c '{SPEAK}{script}'")
    assert said.stderr == ""
    return said.stdout


async def test_allowed_hosts_are_reached_in_the_clear_and_by_tls(inside: Sandbox, origin: Origin) -> None:
    assert await fetch(inside, "http://origin.test/x", "https://origin.test/y", "http://a.cdn.test") == ["hello"] * 3
    assert origin.heads[0].startswith(b"GET /x HTTP/1.1\r\nHost: origin.test\r\n")
    assert inside.refused_hosts() == []


async def test_other_hosts_are_refused_by_name(inside: Sandbox, network: StandIn) -> None:
    said = await fetch(inside, "http://evil.test/", "https://also-evil.test/", "https://origin.test:22/")
    assert [line.split("403 Forbidden - ")[1].split(" taor")[0] for line in said] == [
        "evil.test is not allowed",
        "also-evil.test is not allowed>",
        "origin.test:22 is not allowed>",
    ]
    assert inside.refused_hosts() == ["evil.test", "also-evil.test", "origin.test:22"]
    assert network.asked == [], "not even looked up"


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:80/", "http://169.254.169.254/latest/meta-data/", "https://1.1.1.1/", "https://[::1]/",
     "http://[::ffff:169.254.169.254]/", "http://2130706433/", "http://localhost/"],
)  # fmt: skip
async def test_numbers_are_no_names(inside: Sandbox, network: StandIn, target: str) -> None:
    (said,) = await fetch(inside, f"'{target}'", options="no_proxy= NO_PROXY=")
    assert re.search(r"40[03] ", said)
    assert network.dialled == network.asked == []


@pytest.mark.parametrize("host", ["inside.test", "own.test"])
async def test_an_allowed_name_of_an_inner_address_is_refused(inside: Sandbox, network: StandIn, host: str) -> None:
    await fetch(inside, f"http://{host}/", f"https://{host}/")
    assert network.dialled == []
    assert inside.refused_hosts() == [f"{host} at {network.addresses[host][0]}"]


async def test_a_name_that_moves_is_dialled_where_it_was_found(inside: Sandbox, network: StandIn) -> None:
    first, second = await fetch(inside, "http://moving.test/", "http://moving.test/")
    assert first == "hello"
    assert "moving.test at 127.0.0.1 is not allowed" in second
    assert network.dialled == [PUBLIC]
    assert network.asked == ["moving.test"] * 2, "looked up once for each connection"


async def test_a_tunnel_is_for_the_host_that_it_was_asked_for(inside: Sandbox, origin: Origin) -> None:
    await run(inside, f"python3 -c '{SPEAK}{TUNNEL}{HIDDEN_NAME}'")
    assert inside.refused_hosts() == ["hidden.test"]
    assert await speak(inside, f'{TUNNEL}s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); print(s.recv(99))') == "b''\n"
    assert inside.refused_hosts() == ["a nameless host"]
    assert origin.heads == []


async def test_a_plain_connection_carries_one_request(inside: Sandbox, origin: Origin) -> None:
    two = r'b"POST http://origin.test/1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nokGET http://evil.test/2 HTTP/1.1\r\n\r\n"'
    script = f's.sendall({two}); print(b"".join(iter(lambda: s.recv(99), b"")).count(b"200 OK"))'
    assert await speak(inside, script) == "1\n"
    assert len(origin.heads) == 1
    assert origin.bodies == [b"ok"]


async def test_what_is_unknown_is_told(inside: Sandbox) -> None:
    (said,) = await fetch(inside, "http://unknown.test/")
    assert said.endswith("taor: unknown.test was not found")


async def test_there_is_no_other_way_out(inside: Sandbox) -> None:
    by_name, by_number = await fetch(inside, "http://origin.test/", "http://8.8.8.8/", options="DIRECT=1")
    assert "name resolution" in by_name
    assert "unreachable" in by_number


async def test_nobody_is_let_out_where_nothing_is_allowed(sandbox_root: Path) -> None:
    backend = prepare(sandbox_root)
    closed = await make_ready(await backend.create("closed/1", SMALL))
    assert (await run(closed, "env | grep -i proxy")).stdout == ""
    said = await run(closed, f"python3 -c '{SPEAK}'")
    assert "ConnectionRefusedError" in said.stderr
    await closed.close()
    await backend.destroy(closed.provider_id)
    await backend.close()


async def test_a_new_service_serves_what_the_old_one_left(
    open_backend: LocalBackend, inside: Sandbox, network: StandIn, sandbox_root: Path
) -> None:
    await open_backend.close()
    successor = prepare(sandbox_root / "open", gateway=Gateway(AllowList.parse(ALLOWED), network))
    again = await successor.attach(inside.provider_id)
    assert await fetch(again, "http://origin.test/") == ["hello"]
    await again.close()
    await successor.close()


async def test_a_paused_sandbox_wakes_with_its_way_out(open_backend: LocalBackend, inside: Sandbox) -> None:
    await open_backend.pause(inside.provider_id, EPOCH)
    woken = await make_ready(await open_backend.attach(inside.provider_id))
    assert await fetch(woken, "http://origin.test/") == ["hello"]
    await woken.close()


def test_the_machine_knows_its_own_addresses() -> None:
    machine = MachineNetwork()
    assert machine.is_own("127.0.0.1")
    assert not machine.is_own("192.0.2.77")
    assert not machine.is_own("2001:db8::77")


def _certificate(path: Path) -> Path:
    """A key and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "origin.test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    lasting = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = lasting.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
