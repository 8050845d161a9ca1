"""A real backend per test, a sandbox in it that is ready for claims, and what tests like to do with it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from taor_e2b_simulator.server import running
from taor_e2b_simulator.simulator import API_KEY, Simulator
from taor_sandbox.backends.e2b.backend import E2BBackend
from taor_sandbox.backends.e2b.installation import Toolbox
from taor_sandbox.backends.e2b.settings import E2BSettings
from taor_sandbox.backends.local.backend import LocalBackend, prepare
from taor_sandbox.backends.port import (
    Backend,
    ClaimSpec,
    CommandExit,
    Exited,
    Limits,
    OutputChunk,
    Sandbox,
    Stream,
    WriteExit,
    WriteSpec,
)

NONCE = "first-nonce"
EPOCH = 1
SMALL = Limits(memory_bytes=256 * 1024**2, processes=64, file_bytes=64 * 1024**2, tmp_bytes=32 * 1024**2)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has come to its end."""

    exit: CommandExit
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def sandbox_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests' sandboxes, so that the toolbox is laid once."""
    return tmp_path_factory.mktemp("sandboxes")


@pytest.fixture
async def local_backend(sandbox_root: Path) -> AsyncIterator[LocalBackend]:
    """A local backend without sandboxes; whatever is made in it is destroyed afterwards."""
    prepared = prepare(sandbox_root, ownerless_seconds=20.0)
    yield prepared
    await destroy_all(prepared)
    await prepared.close()


@pytest.fixture(scope="session")
def e2b_toolbox() -> Toolbox:
    """What is laid into each E2B sandbox, packed once."""
    return Toolbox.pack()


@pytest.fixture
def e2b_simulator(tmp_path: Path) -> Simulator:
    """A simulator that knows no sandbox yet."""
    return Simulator(tmp_path / "e2b", tmp_bytes=SMALL.tmp_bytes)


@pytest.fixture
async def e2b_settings(e2b_simulator: Simulator) -> AsyncIterator[E2BSettings]:
    """How to reach the simulator."""
    async with running(e2b_simulator) as url:
        yield E2BSettings(API_KEY, api_url=url, sandbox_url=url)


@pytest.fixture
def e2b_backend(e2b_settings: E2BSettings, e2b_toolbox: Toolbox) -> E2BBackend:
    """The E2B backend on the real SDK, whose wire ends at the simulator."""
    return E2BBackend(e2b_settings, e2b_toolbox)


@pytest.fixture(params=["local", "e2b"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each of the backends."""
    chosen: Backend = request.getfixturevalue(f"{request.param}_backend")
    return chosen


@pytest.fixture
async def sandbox(backend: Backend) -> AsyncIterator[Sandbox]:
    """A sandbox with epoch 1 and a nonce."""
    made = await make_ready(await backend.create("build/1", SMALL))
    yield made
    await made.close()


def journal_of(sandbox: Sandbox) -> str:
    """The folder of the journal, as commands inside see it."""
    return str(PurePosixPath(sandbox.log_path("any", Stream.STDOUT)).parents[2])


async def destroy_all(backend: Backend) -> None:
    """Leave no sandbox behind."""
    for listing in await backend.list():
        await backend.destroy(listing.provider_id)


async def make_ready(made: Sandbox) -> Sandbox:
    """Do what the service does before the first operation."""
    await made.raise_epoch(EPOCH)
    await made.write_nonce(NONCE)
    return made


def spec(command: str, op_id: str | None = None, **changes: object) -> ClaimSpec:
    """A claim of a new operation."""
    made = ClaimSpec(op_id or f"build/1/{next(_numbers)}/0", EPOCH, NONCE, command, timeout_seconds=30.0)
    return replace(made, **changes)  # type: ignore[arg-type] # a test names real fields


def write(path: str, content: bytes, op_id: str | None = None, **changes: object) -> WriteSpec:
    """A file write of a new operation."""
    made = WriteSpec(op_id or f"build/1/{next(_numbers)}/0", EPOCH, NONCE, path, content)
    return replace(made, **changes)  # type: ignore[arg-type] # a test names real fields


async def start(sandbox: Sandbox, command: str, **changes: object) -> str:
    """Claim a command and return its operation."""
    claim = spec(command, **changes)  # type: ignore[arg-type] # op_id or fields of the claim
    assert await sandbox.claim(claim)
    return claim.op_id


async def finish(sandbox: Sandbox, op_id: str) -> Finished:
    """Follow an operation to its recorded end."""
    outputs = {Stream.STDOUT: b"", Stream.STDERR: b""}
    async for item in sandbox.follow(op_id):
        if isinstance(item, OutputChunk):
            assert item.offset == len(outputs[item.stream])
            outputs[item.stream] += item.data
        else:
            assert isinstance(item, Exited), item
            assert isinstance(item.exit, CommandExit)
            return Finished(item.exit, outputs[Stream.STDOUT].decode(), outputs[Stream.STDERR].decode())
    raise AssertionError("follow ended without an end state")


async def run(sandbox: Sandbox, command: str, **changes: object) -> Finished:
    """Run a command to its end."""
    return await finish(sandbox, await start(sandbox, command, **changes))


async def write_file(sandbox: Sandbox, path: str, content: bytes, **changes: object) -> WriteExit:
    """Write a file and return the record."""
    state = await sandbox.claim_write(write(path, content, **changes))  # type: ignore[arg-type] # as above
    assert isinstance(state, Exited)
    assert isinstance(state.exit, WriteExit)
    return state.exit


async def until(sandbox: Sandbox, test: str, seconds: float = 10.0) -> None:
    """Wait until a shell test holds inside."""
    async with asyncio.timeout(seconds):
        while (await sandbox.run(["/bin/bash", "-c", test])).status != 0:  # noqa: ASYNC110 - happens in another process
            await asyncio.sleep(0.01)
