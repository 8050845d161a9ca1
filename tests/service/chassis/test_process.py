"""A service as an operator sees it: it starts or says why not, drains on SIGTERM, and is found again after a crash."""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from taor_chassis.client import open_channel
from tests.service.chassis.probe import TOKEN, Probe, collect, failure
from tests.support.cut_proxy import cut_proxy

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "tests.service.chassis.probe_service")


@pytest.fixture
def listen() -> Iterator[str]:
    """A unix address; pytest's own folders make paths longer than a socket may have."""
    with tempfile.TemporaryDirectory(prefix="taor-probe-") as folder:
        yield f"unix:{folder}/socket"


async def start(environment: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, cwd=ROOT, env={**kept, **environment}, stderr=asyncio.subprocess.PIPE
    )


async def outcome(process: asyncio.subprocess.Process) -> tuple[int, list[str]]:
    """The exit code and the lines on stderr, once the process has ended."""
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, err.decode().splitlines()


@asynccontextmanager
async def serving(listen: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Probe]]:
    """A running service in a process of its own, and a client of it."""
    process = await start({"TAOR_PROBE_LISTEN": listen, "TAOR_TOKEN": TOKEN}, "serve")
    try:
        async with open_channel(listen, token=TOKEN) as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
            yield process, Probe(channel, listen)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def logged(process: asyncio.subprocess.Process, message: str) -> None:
    """Read the log up to a message."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while json.loads(await process.stderr.readline())["message"] != message:
            pass


def messages(lines: list[str]) -> list[str]:
    """The messages of a log."""
    return [json.loads(line)["message"] for line in lines]


async def test_sigterm_lets_open_calls_end_closes_streams_and_then_the_parts(listen: str) -> None:
    async with serving(listen) as (process, probe):
        stream = aiter(probe.server_stream(b"", timeout=60))
        assert await anext(stream) == b"tick"
        health = aiter(HealthStub(probe.channel).Watch(HealthCheckRequest()))
        assert (await anext(health)).status == HealthCheckResponse.SERVING
        slow = asyncio.ensure_future(probe.unary(b"0.5"))
        await logged(process, "sleeping")
        process.send_signal(signal.SIGTERM)
        assert [answer.status async for answer in health] == [HealthCheckResponse.NOT_SERVING]
        assert await collect(stream) == [b"bye"]
        assert await slow == b"0.5"
        code, lines = await outcome(process)
    assert (code, messages(lines)) == (0, ["draining", "stopped", "parts closed"])


async def test_all_mistakes_of_the_configuration_are_listed(listen: str) -> None:
    code, lines = await outcome(await start({}, "serve"))
    assert code == 2
    assert lines == [
        "taor-probe: the configuration has mistakes",
        "  TAOR_PROBE_LISTEN: is required: where to serve",
        "  TAOR_TOKEN: is required: the bearer token",
    ]


async def test_a_taken_port_is_told_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        code, lines = await outcome(await start({"TAOR_PROBE_LISTEN": listen, "TAOR_TOKEN": TOKEN}, "serve"))
    assert code == 1
    # gRPC's core may have written a line of its own before.
    assert lines[-1] == f"taor-probe: cannot listen on {listen}; is another server running there?"
    assert not any("Traceback" in line for line in lines)


async def test_a_database_that_is_not_there_is_told_in_one_line(listen: str) -> None:
    dsn = "postgresql://nobody@127.0.0.1:9/none"
    environment = {"TAOR_PROBE_LISTEN": listen, "TAOR_TOKEN": TOKEN, "TAOR_PROBE_DSN": dsn}
    code, lines = await outcome(await start(environment, "migrate"))
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("taor-probe: ")


async def test_a_background_loop_that_fails_takes_the_service_down_and_is_explained(listen: str) -> None:
    async with serving(listen) as (process, probe):
        await probe.unary(b"poison")
        code, lines = await outcome(process)
    assert code == 1
    assert lines[-1] == "taor-probe: LookupError: the background loop met something"
    assert "in background" in json.loads(lines[-2])["traceback"]


async def test_a_client_finds_a_service_again_that_was_killed_and_restarted(listen: str) -> None:
    async with serving(listen) as (killed, probe):
        assert await probe.unary(b"0") == b"0"
        killed.kill()
        await killed.communicate()
        assert (await failure(probe.unary(b"0"))).code() is grpc.StatusCode.UNAVAILABLE
        async with serving(listen):
            # The first call may still meet the back-off of the lost connection; its retries outlast that.
            assert await probe.unary(b"0") == b"0"


async def test_calls_that_lose_their_server_are_sent_again(listen: str) -> None:
    another = f"{listen}-2"
    async with (
        serving(listen) as (killed, _),
        serving(another),
        cut_proxy(listen) as (proxy, address),
        open_channel(address, token=TOKEN) as channel,
    ):
        pending = asyncio.ensure_future(Probe(channel, address).unary(b"0.3"))
        await logged(killed, "sleeping")
        proxy.server_address = another  # one that is up already, however long a start takes here
        killed.kill()
        await killed.communicate()
        assert await pending == b"0.3"
