"""The service as a process: what was acknowledged outlives kill -9, SIGTERM drains, a bad environment is told."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import grpc
import pytest
from taor.checkpoint.v1 import checkpoint_pb2 as pb
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceStub

from taor_chassis.client import open_channel
from tests.service.checkpoint.conftest import MASTER_KEY, TOKEN
from tests.service.checkpoint.messages import Checkpoint, append, attach, head, read, user
from tests.support.postgres import MigratedDatabase


async def test_what_was_acknowledged_outlives_a_kill(migrated_database: MigratedDatabase, tmp_path: Path) -> None:
    environment = _environment(migrated_database("taor_checkpoint"), tmp_path)
    async with _served(environment) as (process, checkpoint):
        await attach(checkpoint)
        await append(checkpoint, 0, head(), user(b"brief", "inbox-1"))
        process.kill()
    async with _served(environment) as (process, checkpoint):
        assert [entry.body for entry in await read(checkpoint)] == [head().body, b"brief"]
        assert await append(checkpoint, 0, head(), user(b"brief", "inbox-1")) == 2
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_deletion_that_is_killed_in_its_middle_goes_on_after_a_restart(
    migrated_database: MigratedDatabase, tmp_path: Path
) -> None:
    dsn = migrated_database("taor_checkpoint")
    environment = _environment(dsn, tmp_path)
    database = await asyncpg.connect(dsn)
    async with _served(environment) as (process, checkpoint):
        await attach(checkpoint)
        for at in range(0, 250, 50):
            await append(checkpoint, at, *(head() for _ in range(50)))
        gate = database.transaction()
        await gate.start()
        await database.execute("SELECT 1 FROM entries WHERE sequence = 150 FOR UPDATE")
        await checkpoint.DeleteProject(pb.DeleteProjectRequest(project_id="project-1"))
        await _until(partial(_is_blocked, database))
        assert await database.fetchval("SELECT min(sequence) FROM entries") == 101
        process.kill()
        await process.wait()
    await gate.rollback()
    assert await database.fetchval("SELECT count(*) FROM entries") > 0
    async with _served(environment) as (process, checkpoint):
        with pytest.raises(grpc.aio.AioRpcError, match="was deleted for good"):
            await read(checkpoint)
        await _until(partial(_is_purged, checkpoint))
    assert await database.fetchval("SELECT count(*) FROM entries") == 0
    await database.close()


async def test_every_mistake_of_the_environment_is_told() -> None:
    broken = {"PATH": os.environ["PATH"], "TAOR_CHECKPOINT_MASTER_KEY": "c2hvcnQ="}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_checkpoint", "serve", env=broken, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    for word in (b"TAOR_CHECKPOINT_LISTEN", b"TAOR_CHECKPOINT_DSN", b"TAOR_TOKEN", b"has 5 bytes instead of 32"):
        assert word in errors


async def _is_purged(checkpoint: Checkpoint) -> bool:
    deletion = await checkpoint.DeleteProject(pb.DeleteProjectRequest(project_id="project-1"))
    return deletion.HasField("purge_time")


async def _is_blocked(database: asyncpg.Connection) -> bool:
    """Whether a statement waits for a lock."""
    blocked: bool = await database.fetchval(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    return blocked


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def _environment(dsn: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TAOR_CHECKPOINT_LISTEN": f"unix:{folder}/checkpoint.sock",
        "TAOR_CHECKPOINT_DSN": dsn,
        "TAOR_CHECKPOINT_MASTER_KEY": MASTER_KEY,
        "TAOR_TOKEN": TOKEN,
    }


@asynccontextmanager
async def _served(
    environment: dict[str, str],
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Checkpoint]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_checkpoint", "serve", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with open_channel(environment["TAOR_CHECKPOINT_LISTEN"], token=TOKEN) as channel:
            async with asyncio.timeout(60):
                await _ready(channel, process)
            yield process, CheckpointServiceStub(channel)
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
