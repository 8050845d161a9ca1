"""What dodges the limits: it belongs to nobody any more, or sees to it that the agent does nothing."""

import asyncio
import os
import signal
import textwrap
from pathlib import Path

import pytest

from taor_sandbox.backends.errors import SandboxUnreachable
from taor_sandbox.backends.local import toolbox
from taor_sandbox.backends.local.backend import LocalBackend
from taor_sandbox.backends.local.folder import Shelf
from taor_sandbox.backends.local.watchdog import stop
from taor_sandbox.backends.port import Ending, Limits, Sandbox
from tests.support.sandboxes import SMALL, make_ready, run, start, until


def stray(script: str) -> str:
    """Starts a script without a mark, in a session of its own, whose parents are gone; it must write `up`."""
    return f"(env -i setsid bash -c '{script}' > /dev/null 2>&1 &); until [ -s up ]; do sleep 0.02; done"


async def test_a_disk_hog_that_belongs_to_nobody_is_ended(backend: LocalBackend) -> None:
    await backend.start()
    sandbox = await make_ready(await backend.create("stray/1", Limits(disk_bytes=100 * 1024**2)))
    hog = "echo $$ > up; for n in $(seq 60); do head -c 5M /dev/zero > file$n; sleep 0.05; done; sleep 25"
    assert (await run(sandbox, stray(hog))).exit.status == 0
    await until(sandbox, "! kill -0 $(cat up)", seconds=20)
    assert (await run(sandbox, "ls file60; rm file*; ls")).stdout == "up\n"
    await sandbox.close()


async def test_a_helper_of_the_service_is_no_stray(backend: LocalBackend, sandbox_root: Path) -> None:
    """A download goes on: its program belongs to no operation, and its children may have dropped its mark."""
    sandbox = await make_ready(await backend.create("helped/1", SMALL))
    assert (await run(sandbox, stray("echo $$ > up; sleep 25"))).exit.status == 0
    patient = "echo > on; until [ -e go ]; do sleep 0.02; done; echo whole"
    helping = asyncio.create_task(sandbox.run(["/bin/bash", "-c", f"env -i bash -c '{patient}'"]))
    await until(sandbox, "[ -e on ]")
    await stop(Shelf(sandbox_root, toolbox.release()).folder("helped/1"), Ending.DISK_LIMIT)
    assert (await sandbox.run(["/bin/bash", "-c", "touch go; kill -0 $(cat up)"])).status == 1
    assert (await helping).stdout == b"whole\n"
    await sandbox.close()


async def test_memory_that_outlives_its_process_counts_too(sandbox: Sandbox) -> None:
    """System V segments stay when nobody holds them; in pieces, because a process counts what it has attached."""
    hoard = """
        import ctypes, time
        libc = ctypes.CDLL(None)
        libc.shmat.restype = ctypes.c_void_p
        for _ in range(8):
            held = ctypes.c_void_p(libc.shmat(libc.shmget(0, 50 << 20, 0o1600), None, 0))
            ctypes.memset(held, 1, 50 << 20)
            libc.shmdt(held)
        time.sleep(25)
    """
    done = await run(sandbox, f"python3 - <<'E'\n{textwrap.dedent(hoard)}\nE")
    assert done.exit.ending is Ending.MEMORY_LIMIT
    assert (await run(sandbox, "tail -n +2 /proc/sysvipc/shm | wc -l")).stdout == "0\n"


async def test_of_what_is_counted_per_user_the_others_keep_some(sandbox: Sandbox) -> None:
    """A timer takes a signal that may wait; started by an ordinary user, every sandbox has the same one as he."""
    take = """
        import ctypes, platform
        number = {"x86_64": 222, "aarch64": 107}[platform.machine()]
        libc, timer, taken = ctypes.CDLL(None), ctypes.c_int(), 0
        while taken < 10_000 and libc.syscall(number, 0, None, ctypes.byref(timer)) == 0:
            taken += 1
        print(taken)
    """
    done = await run(sandbox, f"python3 - <<'E'\n{textwrap.dedent(take)}\nE\nulimit -q")
    timers, queues = map(int, done.stdout.split())
    assert 0 < timers <= 4096
    assert queues <= 256 * 1024


async def test_what_runs_is_ended_though_the_agent_does_nothing(backend: LocalBackend, sandbox_root: Path) -> None:
    sandbox = await make_ready(await backend.create("deaf/1", SMALL))
    await start(sandbox, "sleep 25", background=True)
    folder = Shelf(sandbox_root, toolbox.release()).folder("deaf/1")
    os.kill(folder.read_state().agent_pid, signal.SIGSTOP)
    await stop(folder, Ending.DISK_LIMIT, patience_seconds=0.2)
    with pytest.raises(SandboxUnreachable):
        await sandbox.journal_nonce()
    await sandbox.close()
