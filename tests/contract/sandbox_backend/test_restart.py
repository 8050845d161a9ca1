"""The local backend when the service that owns it is killed: commands go on, and whoever comes next finds them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taor_sandbox.backends.errors import SandboxUnreachable
from taor_sandbox.backends.local.backend import LocalBackend, open_backend
from taor_sandbox.backends.local.folder import Shelf
from taor_sandbox.backends.port import Dead, Live, SandboxStatus
from tests.support.sandboxes import NONCE, SMALL, finish, make_ready, run, start, until, write_file
from tests.support.waiting import wait_until

_OWNER = """
import asyncio, sys
from pathlib import Path
from taor_sandbox.backends.errors import SandboxUnreachable
from taor_sandbox.backends.local.backend import open_backend
from tests.support.sandboxes import SMALL, make_ready, spec

async def main():
    backend = await open_backend(Path(sys.argv[1]), ownerless_seconds=float(sys.argv[2]))
    sandbox = await make_ready(await backend.create("build/1", SMALL))
    await sandbox.claim(spec(sys.argv[3], "build/1/owned/0"))
    print("claimed", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
_OP_ID = "build/1/owned/0"


def agent_pid(root: Path, key: str) -> int:
    """The agent of a sandbox, by the host's count."""
    return Shelf(root).folder(key).read_state().agent_pid


def until_idle(root: Path) -> None:
    """Wait until the agent has no process any more. Nobody is connected, so only the host can be asked."""
    children = Path("/proc/{0}/task/{0}/children".format(agent_pid(root, "build/1")))
    wait_until(lambda: not children.read_text(), "the agent has no process")


@contextlib.asynccontextmanager
async def owner(root: Path, command: str, ownerless_seconds: float = 20.0) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that has made a sandbox and claimed a command in it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _OWNER, str(root), str(ownerless_seconds), command), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"claimed\n"
    yield process
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@pytest.fixture
async def later(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    """The service that is started next over the same folder."""
    backend = await open_backend(tmp_path / "owned", ownerless_seconds=20.0)
    yield backend
    for listing in await backend.list():
        await backend.destroy(listing.provider_id)
    await backend.close()


async def test_a_command_outlives_its_service_and_is_followed_to_its_end(later: LocalBackend, tmp_path: Path) -> None:
    command = "echo x >> count; echo before; until [ -e go ]; do sleep 0.01; done; echo after"
    async with owner(tmp_path / "owned", command) as first:
        first.send_signal(signal.SIGKILL)
        await first.wait()
        sandbox = await later.attach("build/1")
        assert isinstance(await sandbox.look(_OP_ID), Live)
        await sandbox.run(["touch", "go"])
        done = await finish(sandbox, _OP_ID)
    assert (done.exit.status, done.stdout) == (0, "before\nafter\n")
    assert await sandbox.read("count") == b"x\n"
    assert await sandbox.journal_nonce() == NONCE
    await sandbox.close()


async def test_a_command_that_ends_while_nobody_looks_is_recorded(later: LocalBackend, tmp_path: Path) -> None:
    async with owner(tmp_path / "owned", "echo x >> count; sleep 0.3; exit 7") as first:
        first.send_signal(signal.SIGKILL)
        await first.wait()
        until_idle(tmp_path / "owned")
        sandbox = await later.attach("build/1")
        done = await finish(sandbox, _OP_ID)
    assert done.exit.status == 7
    assert await sandbox.read("count") == b"x\n"
    await sandbox.close()


async def test_a_time_out_holds_while_nobody_looks(later: LocalBackend, tmp_path: Path) -> None:
    sandbox = await make_ready(await later.create("build/1", SMALL))
    op_id = await start(sandbox, "sleep 77", timeout_seconds=0.1)
    await sandbox.close()
    until_idle(tmp_path / "owned")
    again = await later.attach("build/1")
    assert (await finish(again, op_id)).exit.status == 137
    await again.close()


async def test_a_stalled_service_does_not_stop_the_agent(later: LocalBackend, tmp_path: Path) -> None:
    async with owner(tmp_path / "owned", "true") as first:
        first.send_signal(signal.SIGSTOP)
        sandbox = await later.attach("build/1")
        for _ in range(300):
            await write_file(sandbox, "file", b"")
        assert (await run(sandbox, "echo alive")).stdout == "alive\n"
        await sandbox.close()


async def test_an_ownerless_sandbox_ends_itself_and_keeps_its_files(later: LocalBackend, tmp_path: Path) -> None:
    async with owner(tmp_path / "owned", "touch kept; sleep 77", ownerless_seconds=0.3) as first:
        first.send_signal(signal.SIGKILL)
        await first.wait()
        async with asyncio.timeout(10):
            while (await later.list())[0].status is SandboxStatus.RUNNING:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        sandbox = await later.attach("build/1")
        assert await sandbox.look(_OP_ID) == Dead()
        assert (await sandbox.run(["ls"])).stdout == b"kept\n"
        await sandbox.close()


async def test_an_agent_that_is_killed_takes_everything_along(later: LocalBackend, tmp_path: Path) -> None:
    sandbox = await make_ready(await later.create("build/1", SMALL))
    op_id = await start(sandbox, "setsid sleep 77 & echo $$ > pid; sleep 77")
    await until(sandbox, "[ -s pid ]")
    os.kill(agent_pid(tmp_path / "owned", "build/1"), signal.SIGKILL)
    with pytest.raises(SandboxUnreachable):
        await finish(sandbox, op_id)
    woken = await later.attach("build/1")
    assert await woken.look(op_id) == Dead()
    assert (await woken.run(["/bin/bash", "-c", "grep -lx sleep /proc/[0-9]*/comm"])).stdout == b""
    await woken.close()


async def test_pause_all_leaves_no_process(later: LocalBackend, tmp_path: Path) -> None:
    for number in range(3):
        sandbox = await make_ready(await later.create(f"build/{number}", SMALL))
        await start(sandbox, "sleep 77", background=True)
        await sandbox.close()
    pids = [agent_pid(tmp_path / "owned", listing.key) for listing in await later.list()]
    await later.pause_all()
    assert {listing.status for listing in await later.list()} == {SandboxStatus.PAUSED}
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the agents' processes are gone")
