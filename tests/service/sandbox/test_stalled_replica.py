"""A replica of the service stalls in the midst of something, another goes on with the build, the first comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.app import running_backend
from taor_sandbox.backends.port import Backend, Limits, Sandbox
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness, reason_of

FATE = pb.ReleaseSandboxRequest
LONG = "echo on; until [ -e go ]; do sleep 0.02; done; echo x >> count; cat count"


class Gate:
    """Where somebody waits until he may go on, once he is told to stall."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self.opened.set()

    async def pass_by(self) -> None:
        """Say that somebody is here, and wait."""
        self.reached.set()
        await self.opened.wait()

    async def stall(self, call: "asyncio.Future[pb.Snapshot]") -> None:
        """Return when the call stands here."""
        self.opened.clear()
        self.reached.clear()
        async with asyncio.timeout(10):
            await self.reached.wait()
        assert not call.done()


class StallingSandbox:
    """A handle whose user stalls between the walk of a snapshot and its upload."""

    def __init__(self, sandbox: Sandbox, gate: Gate) -> None:
        self._sandbox, self._gate = sandbox, gate

    def __getattr__(self, name: str) -> object:
        return getattr(self._sandbox, name)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        async with self._sandbox.frozen():
            yield
        await self._gate.pass_by()


class StallingBackend:
    """A provider whose user stalls just before a pause, with everything inside standing still already."""

    def __init__(self, backend: Backend, gate: Gate, pauses: Gate) -> None:
        self._backend, self._gate, self._pauses = backend, gate, pauses

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    async def create(self, key: str, limits: Limits) -> Sandbox:
        return cast(Sandbox, StallingSandbox(await self._backend.create(key, limits), self._gate))

    async def pause(self, provider_id: str, epoch: int) -> None:
        await self._pauses.pass_by()
        await self._backend.pause(provider_id, epoch)


@pytest.fixture
def uploads() -> Gate:
    """Before the contents of a snapshot are stored."""
    return Gate()


@pytest.fixture
def pauses() -> Gate:
    """Before a sandbox is paused."""
    return Gate()


@pytest.fixture
async def stalled(sandbox_config: SandboxConfig, uploads: Gate, pauses: Gate) -> AsyncIterator[Harness]:
    """The replica that stalls, with a file written and a sandbox that runs."""
    async with running_backend(sandbox_config) as backend:
        harness = Harness(sandbox_config, cast(Backend, StallingBackend(backend, uploads, pauses)))
        await harness.start()
        await harness.attach()
        await harness.write(1, "f", "x\n")
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()


@pytest.fixture
async def successor(sandbox_config: SandboxConfig, stalled: Harness) -> AsyncIterator[Harness]:
    """The replica that goes on with the same build, over the same database and the same folders."""
    async with running_backend(sandbox_config) as backend:
        harness = Harness(sandbox_config, backend)
        harness.build_id, harness.attaches = stalled.build_id, stalled.attaches
        harness.take_over()
        await harness.start()
        yield harness
        await harness.stop()


async def test_it_pauses_nothing(stalled: Harness, successor: Harness, pauses: Gate) -> None:
    releasing = asyncio.ensure_future(stalled.release(FATE.PAUSE))
    await pauses.stall(releasing)
    await successor.attach(tail_sequence=1)
    following = await successor.begin(2, LONG)
    pauses.opened.set()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await releasing
    assert reason_of(raised) == "STALE_EPOCH"
    await successor.touch("go")
    assert (await following.result()).text == "on\nx\n"
    assert successor.generation == 1


async def test_it_publishes_nothing(stalled: Harness, successor: Harness, uploads: Gate) -> None:
    taking = asyncio.ensure_future(stalled.snapshot())
    await uploads.stall(taking)
    await _go_on(successor)
    uploads.opened.set()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await taking
    assert raised.value.code() is grpc.StatusCode.ABORTED
    listed = await successor.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=successor.build_id))
    assert list(listed.snapshots) == []


async def test_it_destroys_nothing(stalled: Harness, successor: Harness, uploads: Gate) -> None:
    releasing = asyncio.ensure_future(stalled.release(FATE.DESTROY))
    await uploads.stall(releasing)
    await _go_on(successor)
    uploads.opened.set()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await releasing
    assert raised.value.code() is grpc.StatusCode.ABORTED
    await stalled.reaper.round()
    assert (await successor.bash(3, "cat f")).text == "x\n"
    assert (await successor.state()).state == pb.GetSandboxResponse.READY


async def test_it_starts_nothing(stalled: Harness, successor: Harness) -> None:
    await _go_on(successor)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stalled.bash(3, "rm f")
    assert reason_of(raised) == "STALE_EPOCH"
    assert (await successor.bash(3, "cat f")).text == "x\n"


async def _go_on(successor: Harness) -> None:
    await successor.attach(tail_sequence=1)
    assert (await successor.bash(2, "cat f")).text == "x\n"
