"""The budget service as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from taor.budget.v1.budget_pb2_grpc import BudgetServiceStub

from taor_chassis.client import open_channel
from tests.service.budget.conftest import TOKEN, Bench


def environment_of(dsn: str, folder: Path) -> dict[str, str]:
    """What the process is told."""
    return {
        "PATH": os.environ["PATH"],
        "TAOR_BUDGET_LISTEN": f"unix:{folder}/budget.sock",
        "TAOR_BUDGET_DSN": dsn,
        "TAOR_BUDGET_CREATE_ACCOUNTS": "true",
        "TAOR_TOKEN": TOKEN,
    }


async def run(environment: dict[str, str], command: str) -> tuple[int | None, bytes]:
    """Run a command to its end; its exit code, and what it said on stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_budget", command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode, errors


@asynccontextmanager
async def served(environment: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, Bench]]:
    """A service that is ready, with a client; it is killed at the end of the block unless it has ended."""
    address = environment["TAOR_BUDGET_LISTEN"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_budget", "serve", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with open_channel(address, token=TOKEN) as channel:
            async with asyncio.timeout(60):
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
