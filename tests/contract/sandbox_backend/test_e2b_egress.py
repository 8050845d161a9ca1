"""What commands at E2B are told of the allow-list: its firewall enforces it, a teller inside names what is refused."""

from dataclasses import replace

import pytest

from taor_e2b_simulator.faults import Fault, FaultKind
from taor_e2b_simulator.simulator import Simulator
from taor_sandbox.backends.e2b.backend import E2BBackend
from taor_sandbox.backends.e2b.installation import Toolbox, inside_files
from taor_sandbox.backends.e2b.settings import E2BSettings
from taor_sandbox.backends.port import Sandbox
from tests.support.fetching import fetch, lay_fetch
from tests.support.sandboxes import EPOCH, SMALL, finish, make_ready, run, start, until

ALLOWED = ("origin.test", "*.inside.test")
NETWORK = "taor_sandbox/egress/network.py"
STAND_IN = b"""

class MachineNetwork(MachineNetwork):
    async def resolve(self, host):
        return ["93.184.215.14"] if host == "origin.test" else await super().resolve(host)

    async def dial(self, address, port):
        assert (address, port) == ("93.184.215.14", 80)
        return await asyncio.open_connection("127.0.0.1", 8080)
"""
"""The simulator's sandboxes have no network: this host's public address leads to a server beside the teller."""


@pytest.fixture
def toolbox() -> Toolbox:
    """The files of every sandbox, with one host that can really be reached."""
    files = inside_files()
    return Toolbox.of(files | {NETWORK: files[NETWORK] + STAND_IN})


@pytest.fixture
def backend(e2b_settings: E2BSettings, toolbox: Toolbox) -> E2BBackend:
    """E2B with an allow-list."""
    return E2BBackend(replace(e2b_settings, allowed_hosts=ALLOWED), toolbox)


@pytest.fixture
async def inside(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a program that asks for addresses."""
    await lay_fetch(sandbox)
    return sandbox


async def test_what_a_sandbox_may_reach_is_named_when_it_is_made(sandbox: Sandbox, e2b_simulator: Simulator) -> None:
    network = e2b_simulator.shelf.find(sandbox.provider_id).order.network
    assert network["denyOut"] == ["0.0.0.0/0"]
    assert network["allowOut"] == list(ALLOWED)
    assert network["allowPublicTraffic"] is False


async def test_an_allowed_host_is_reached_and_others_are_refused_by_name(inside: Sandbox) -> None:
    """In the words of the gateway at home."""
    await start(inside, "mkdir www; echo hello > www/x; cd www; python3 -m http.server 8080", background=True)
    await until(inside, "(: < /dev/tcp/127.0.0.1/8080) 2>/dev/null")
    (said,) = await fetch(inside, "http://origin.test/x")
    assert said == "hello"
    assert inside.refused_hosts() == []
    plain, secure, port = await fetch(inside, "http://evil.test/", "https://also-evil.test/", "https://origin.test:22/")
    assert plain == "403 Forbidden - evil.test is not allowed taor: evil.test is not allowed"
    assert "403 Forbidden - also-evil.test is not allowed" in secure
    assert "403 Forbidden - origin.test:22 is not allowed" in port
    assert inside.refused_hosts() == ["evil.test", "also-evil.test", "origin.test:22"]
    await run(inside, "true")
    assert inside.refused_hosts() == []


async def test_an_allowed_name_of_an_inner_address_is_refused(inside: Sandbox, e2b_simulator: Simulator) -> None:
    """Looked up by the sandbox's own resolver."""
    inner = {f"n{n}.inside.test": each for n, each in enumerate(("169.254.169.254", "10.0.0.7", "127.0.0.1"))}
    with (e2b_simulator.shelf.find(inside.provider_id).folder / "etc" / "hosts").open("a") as hosts:
        hosts.writelines(f"{address} {name}\n" for name, address in inner.items())
    await fetch(inside, *(f"{scheme}://{name}/" for name in inner for scheme in ("http", "https")))
    assert inside.refused_hosts() == [f"{name} at {address}" for name, address in inner.items()]


async def test_hosts_are_named_after_a_lost_answer_and_after_the_teller_s_end(
    inside: Sandbox, e2b_simulator: Simulator
) -> None:
    op_id = await start(inside, "python3 fetch.py http://evil.test/")
    e2b_simulator.faults.arm(Fault(FaultKind.LOST_ANSWER, "/process.Process/Start"))
    await finish(inside, op_id)
    assert inside.refused_hosts() == ["evil.test"]
    await run(inside, "pkill -KILL -f '/var/lib/taor/lib.* [t]eller'")
    await fetch(inside, "http://evil.test/")
    assert inside.refused_hosts() == ["evil.test"]


async def test_a_sandbox_that_woke_names_hosts_too(backend: E2BBackend, inside: Sandbox) -> None:
    await backend.pause(inside.provider_id, EPOCH)
    woken = await make_ready(await backend.attach(inside.provider_id))
    await fetch(woken, "http://evil.test/")
    assert woken.refused_hosts() == ["evil.test"]
    await woken.close()


async def test_where_nothing_is_allowed_nobody_tells(e2b_settings: E2BSettings, toolbox: Toolbox) -> None:
    closed = await make_ready(await E2BBackend(e2b_settings, toolbox).create("closed/1", SMALL))
    said = await run(closed, "env | grep -i proxy; pgrep -f '/var/lib/taor/lib.* [t]eller'; true")
    assert said.stdout == ""
    await closed.close()
