"""The service as a process: killed in the middle of a command, started again, drained."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_chassis.client import open_channel
from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness, reason_of

COMMAND = "echo on; until [ -e go ]; do sleep 0.02; done; echo x >> count; cat count"


@pytest.fixture
async def killed(sandbox_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A client's view of a service that runs in processes of its own, one after the other."""
    async with running_backend(sandbox_config) as backend:
        harness = Harness(sandbox_config, backend)
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()


async def test_a_kill_in_mid_command_loses_and_repeats_nothing(killed: Harness) -> None:
    async with process_of(killed) as process:
        await killed.attach()
        await killed.begin(1, COMMAND)
        process.kill()
    async with process_of(killed) as process:
        # The same owner goes on without a new attach: neither epoch nor generation has changed.
        again = await killed.begin(1, COMMAND)
        await killed.touch("go")
        assert (await again.result()).text == "on\nx\n"
        assert (await killed.bash(2, "cat count")).text == "x\n"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_command_that_ends_while_no_service_runs_is_adopted(killed: Harness) -> None:
    async with process_of(killed) as process:
        await killed.attach()
        await killed.begin(1, COMMAND)
        process.kill()
    await killed.touch("go")
    await killed.until_exists("count")
    async with process_of(killed):
        killed.take_over()
        attached = await killed.attach(tail_sequence=1)
        assert [each.state for each in attached.operations] == [pb.Operation.STARTING]
        assert (await killed.bash(1, COMMAND)).text == "on\nx\n"


async def test_a_preparation_that_died_with_the_service_is_taken_up_by_the_next_attach(killed: Harness) -> None:
    async with process_of(killed) as process:
        await killed.attach()
        process.kill()
    async with process_of(killed):
        killed.take_over()
        result = await killed.until_attached(lambda: killed.bash(1, "echo ok"))
        assert result.text == "ok\n"
        killed.generation += 1
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await killed.bash(2, "true")
        assert reason_of(raised) == "STALE_GENERATION"
    live = [each.key for each in await killed.backend.list()]
    assert live == [f"{killed.build_id}/{killed.generation - 1}"]


async def test_a_redo_that_died_with_the_service_goes_on_where_it_was(killed: Harness) -> None:
    async with process_of(killed) as process:
        await killed.attach()
        following = await killed.begin(1, COMMAND)
        await killed.touch("go")
        assert (await following.result()).text == "on\nx\n"
        await killed.lose_sandbox()
        attaching = asyncio.ensure_future(killed.attach())
        killed.generation = 2
        await killed.until(partial(killed.is_live, 1), bool)
        process.kill()
        with pytest.raises(grpc.aio.AioRpcError):
            await attaching
    async with process_of(killed):
        killed.take_over()
        attaching = asyncio.ensure_future(killed.attach(tail_sequence=1))
        await killed.touch("go")
        (operation,) = (await attaching).operations
        assert (operation.state, operation.generation) == (pb.Operation.DONE, 2)
        assert (await killed.bash(2, "cat count")).text == "x\n"


@asynccontextmanager
async def process_of(harness: Harness) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m taor_sandbox serve`, until it is killed or the block ends."""
    config = harness.config
    address = f"unix:{config.data.parent}/service.sock"
    environment = {
        "PATH": os.environ["PATH"],
        "TAOR_SANDBOX_LISTEN": address,
        "TAOR_SANDBOX_DSN": config.dsn,
        "TAOR_TOKEN": config.token,
        "TAOR_SANDBOX_DATA": str(config.data),
        "TAOR_SANDBOX_BLOBS": str(config.blobs),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "taor_sandbox", "serve", env=environment)
    try:
        async with open_channel(address, token=config.token) as channel, asyncio.timeout(20):
            await _ready(channel, process)
        await harness.dial(address)
        yield process
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
