"""The service as a process: what was acknowledged outlives kill -9, SIGTERM drains, a bad environment is told."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1.budget_pb2_grpc import BudgetServiceStub

from taor_chassis.client import open_channel
from tests.service.budget.conftest import TOKEN, Bench


async def test_money_set_aside_outlives_a_kill(database: str, tmp_path: Path) -> None:
    environment = _environment(database, tmp_path)
    assert await _run(environment, "migrate") == (0, b"")
    async with _served(environment) as (process, bench):
        await bench.admit()
        await bench.attach()
        held = (await bench.reserve(0)).grant
        process.kill()
    async with _served(environment) as (process, again):
        again.build_id = bench.build_id
        assert (await again.reserve(0)).grant.held_microdollars == held.held_microdollars
        advanced = await again.advance(0, pb.Usage(input_tokens=900, output_tokens=50))
        assert advanced.closing.booked_microdollars == 2300
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_every_mistake_of_the_environment_is_told(tmp_path: Path) -> None:
    broken = {
        "PATH": os.environ["PATH"],
        "TAOR_BUDGET_TIME_ZONE": "Mars/Olympus",
        "TAOR_BUDGET_PRICES": str(tmp_path / "absent.toml"),
        "TAOR_BUDGET_POOL_SIZE": "0",
    }
    code, errors = await _run(broken, "serve")
    assert code == 2
    for word in (
        b"TAOR_BUDGET_LISTEN",
        b"TAOR_BUDGET_DSN",
        b"TAOR_TOKEN",
        b"Mars/Olympus",
        b"absent.toml",
        b"above zero",
    ):
        assert word in errors


async def test_a_malformed_price_file_is_told(database: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[price]]\nmodel = "m"\n')
    code, errors = await _run(_environment(database, tmp_path) | {"TAOR_BUDGET_PRICES": str(prices)}, "serve")
    assert code == 2
    assert b"price of m" in errors


def _environment(dsn: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TAOR_BUDGET_LISTEN": f"unix:{folder}/budget.sock",
        "TAOR_BUDGET_DSN": dsn,
        "TAOR_BUDGET_CREATE_ACCOUNTS": "true",
        "TAOR_TOKEN": TOKEN,
    }


async def _run(environment: dict[str, str], command: str) -> tuple[int | None, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_budget", command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode, errors


@asynccontextmanager
async def _served(environment: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, Bench]]:
    address = environment["TAOR_BUDGET_LISTEN"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_budget", "serve", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with open_channel(address, token=TOKEN) as channel:
            async with asyncio.timeout(20):
                await _ready(channel, process)
            yield process, Bench(BudgetServiceStub(channel), address, environment["TAOR_BUDGET_DSN"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ready(channel: grpc.aio.Channel, process: asyncio.subprocess.Process) -> None:
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        assert process.returncode is None, "the service has ended"
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
