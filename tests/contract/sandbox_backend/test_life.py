"""The life of a sandbox: made once per key, found again, paused, destroyed for certain."""

import asyncio

import pytest

from taor_sandbox.backends.errors import (
    FileRefused,
    InvalidRequest,
    PortRefused,
    SandboxBusy,
    SandboxGone,
    SandboxUnreachable,
    StaleEpoch,
)
from taor_sandbox.backends.port import Backend, Limits, Live, Sandbox, SandboxListing, SandboxStatus
from tests.support.sandboxes import EPOCH, SMALL, finish, make_ready, run, start, until, write_file


async def test_the_same_key_gives_the_same_sandbox(backend: Backend) -> None:
    first, second = await asyncio.gather(backend.create("b/1", SMALL), backend.create("b/1", SMALL))
    await make_ready(first)
    await write_file(first, "file", b"x")
    assert await second.read("file") == b"x"
    assert first.provider_id == second.provider_id
    assert first.boot_id == second.boot_id
    assert len(await backend.list()) == 1
    await first.close()
    await second.close()


async def test_sandboxes_do_not_see_each_other(backend: Backend, sandbox: Sandbox) -> None:
    other = await make_ready(await backend.create("build/2", SMALL))
    await write_file(sandbox, "file", b"mine")
    await start(sandbox, "exec sleep 77", background=True)
    seen = await run(other, "ls -A / /workspace /home/user | grep -c file; cat /proc/[0-9]*/comm | grep -cx sleep")
    assert seen.stdout == "0\n0\n"
    await other.close()


@pytest.mark.parametrize("key", ["", "b", "../b/1", "b/../1", "b/1/2", "b/x", "/b/1", ".hidden/1"])
async def test_a_key_that_is_none_is_refused(backend: Backend, key: str) -> None:
    with pytest.raises(InvalidRequest):
        await backend.create(key, Limits())


@pytest.mark.parametrize("provider_id", ["unknown/1", "i4f1tbbz0v3yrsd"])
async def test_an_unknown_sandbox_is_gone(backend: Backend, provider_id: str) -> None:
    """Also one of another provider, from before the service was told to use this one."""
    with pytest.raises(SandboxGone):
        await backend.attach(provider_id)
    with pytest.raises(SandboxGone):
        await backend.pause(provider_id, EPOCH)
    await backend.destroy(provider_id)


async def test_a_pause_ends_processes_and_keeps_files(backend: Backend, sandbox: Sandbox) -> None:
    await write_file(sandbox, "file", b"kept")
    await write_file(sandbox, "/home/user/file", b"kept", within="/home/user")
    await backend.pause(sandbox.provider_id, EPOCH)
    assert await backend.list() == [SandboxListing(sandbox.provider_id, "build/1", SandboxStatus.PAUSED)]
    with pytest.raises(SandboxUnreachable):
        await sandbox.read("file")
    woken = await backend.attach(sandbox.provider_id)
    assert await backend.list() == [SandboxListing(sandbox.provider_id, "build/1", SandboxStatus.RUNNING)]
    assert await woken.read("file") == await woken.read("/home/user/file") == b"kept"
    await woken.close()


async def test_pausing_twice_is_no_error(backend: Backend, sandbox: Sandbox) -> None:
    await backend.pause(sandbox.provider_id, EPOCH)
    await backend.pause(sandbox.provider_id, EPOCH)


async def test_a_pause_of_what_is_idle_spares_what_runs(backend: Backend, sandbox: Sandbox) -> None:
    """Also what a background command's shell has left behind."""
    left = await start(sandbox, "(until [ -e go ]; do sleep 0.01; done) & true", background=True)
    await finish(sandbox, left)
    assert not await sandbox.is_idle()
    with pytest.raises(SandboxBusy):
        await backend.pause(sandbox.provider_id, EPOCH, only_idle=True)
    await run(sandbox, "touch go")
    async with asyncio.timeout(10):
        while not await sandbox.is_idle():
            pass
    await backend.pause(sandbox.provider_id, EPOCH, only_idle=True)
    assert (await backend.list())[0].status is SandboxStatus.PAUSED


async def test_a_stale_owner_pauses_nothing(backend: Backend, sandbox: Sandbox) -> None:
    """He may have stalled just before he did; what a newer owner runs by now goes on."""
    op_id = await start(sandbox, "until [ -e go ]; do sleep 0.01; done; echo done")
    await sandbox.raise_epoch(EPOCH + 1)
    with pytest.raises(StaleEpoch):
        await backend.pause(sandbox.provider_id, EPOCH)
    assert isinstance(await sandbox.look(op_id), Live)
    assert (await backend.list())[0].status is SandboxStatus.RUNNING
    await sandbox.run(["touch", "go"])
    assert (await finish(sandbox, op_id)).stdout == "done\n"
    await backend.pause(sandbox.provider_id, EPOCH + 1)
    assert (await backend.list())[0].status is SandboxStatus.PAUSED


async def test_a_destroyed_sandbox_is_gone(backend: Backend, sandbox: Sandbox) -> None:
    deep = "import os\nfor _ in range(1500):\n  os.mkdir('d')\n  os.chdir('d')"
    locked = "mkdir locked; touch locked/x; chmod 000 locked"
    assert (await run(sandbox, f'{locked}; python3 -c "{deep}"')).exit.status == 0
    await start(sandbox, "sleep 77", background=True)
    await backend.destroy(sandbox.provider_id)
    assert await backend.list() == []
    with pytest.raises(SandboxGone):
        await backend.attach(sandbox.provider_id)
    await backend.destroy(sandbox.provider_id)


async def test_a_key_can_be_used_again_after_destruction(backend: Backend, sandbox: Sandbox) -> None:
    await write_file(sandbox, "file", b"old")
    await backend.destroy(sandbox.provider_id)
    again = await backend.create("build/1", SMALL)
    assert await again.journal_nonce() is None
    with pytest.raises(FileRefused):
        await again.read("file")
    await again.close()


async def test_a_port_inside_can_be_reached(sandbox: Sandbox) -> None:
    await write_file(sandbox, "index.html", b"hello from inside")
    await start(sandbox, "exec python3 -m http.server 8000 --bind 127.0.0.1", background=True)
    await until(sandbox, "echo > /dev/tcp/127.0.0.1/8000")
    reader, writer = await sandbox.connect(8000)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"hello from inside")
    writer.close()
    await writer.wait_closed()


async def test_a_port_where_nobody_listens_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(PortRefused):
        await sandbox.connect(9)


async def test_keepalive_wakes_nobody(backend: Backend, sandbox: Sandbox) -> None:
    await backend.keepalive(sandbox.provider_id)
    await backend.pause(sandbox.provider_id, EPOCH)
    await backend.keepalive(sandbox.provider_id)
    assert (await backend.list())[0].status is SandboxStatus.PAUSED


async def test_a_closed_handle_answers_unreachable(sandbox: Sandbox) -> None:
    await sandbox.close()
    with pytest.raises(SandboxUnreachable):
        await sandbox.journal_nonce()
