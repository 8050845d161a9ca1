"""A command that takes too much is ended with a reason, and the sandbox goes on."""

import pytest

from taor_sandbox.backends.local.backend import LocalBackend
from taor_sandbox.backends.port import CommandExit, Ending, Exited, Limits, Live, Sandbox
from tests.support.sandboxes import SMALL, make_ready, run, start, until


async def test_a_fork_bomb_is_ended(sandbox: Sandbox) -> None:
    done = await run(sandbox, "bomb() { bomb | bomb & }; bomb; wait; sleep 25")
    assert done.exit.ending in (Ending.PROCESS_LIMIT, Ending.MEMORY_LIMIT)
    left = (await sandbox.run(["/bin/bash", "-c", "cat /proc/[0-9]*/comm"])).stdout.decode().split()
    assert len(left) == 2, left  # the agent, and cat itself
    assert "bash" not in left


async def test_a_memory_hog_is_ended(sandbox: Sandbox) -> None:
    done = await run(
        sandbox,
        "python3 -c 'x = bytearray(1 << 40)' ; python3 -c 'import time\nx = []\nwhile 1: x.append(b\"x\" * (1 << 20))'",
    )
    assert done.exit.ending is Ending.MEMORY_LIMIT
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"


async def test_memory_that_processes_share_counts_too(sandbox: Sandbox) -> None:
    hog = "import mmap, time\nm = mmap.mmap(-1, 400 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(25)"
    assert (await run(sandbox, f"python3 -c '{hog}'")).exit.ending is Ending.MEMORY_LIMIT


async def test_the_largest_command_is_the_one_that_is_ended(sandbox: Sandbox) -> None:
    modest = await start(sandbox, "touch up; sleep 25", background=True)
    await until(sandbox, "[ -e up ]")
    hog = await run(sandbox, "python3 -c 'import time; x = b\"x\" * (400 << 20); time.sleep(25)'")
    assert hog.exit.ending is Ending.MEMORY_LIMIT
    assert isinstance(await sandbox.look(modest), Live)


async def test_files_in_memory_have_a_size(sandbox: Sandbox) -> None:
    for place in ("/tmp", "/dev/shm"):
        done = await run(sandbox, f"for i in 1 2 3 4 5 6; do head -c 60M /dev/zero > {place}/$i; done; rm {place}/*")
        assert "No space left" in done.stderr


LITTER = (
    "import os, time\n"
    "for n in range(70_000): os.mknod(str(n))\n"
    "for n in range(20_000): time.sleep(0.001); os.mknod(f'slow {n}')"
)


@pytest.mark.parametrize(("place", "most"), [("/tmp", 8192), ("/dev/shm", 65536)])
async def test_files_in_memory_are_counted(sandbox: Sandbox, place: str, most: int) -> None:
    """Each takes a kibibyte of the machine's memory that no size counts; a machine lets a sandbox have millions."""
    litter = f'mkdir {place}/litter; cd {place}/litter; python3 -c "{LITTER}"'
    assert (await run(sandbox, litter)).exit.ending is Ending.FILES_LIMIT
    left = await run(sandbox, f"ls -U {place}/litter | wc -l; sleep 0.2; rm -r {place}/litter; echo alive")
    count, alive = left.stdout.split()
    assert alive == "alive", "what stands there harms nobody who makes no more"
    assert int(count) > most - 3  # the folder and the root count too


async def test_files_in_memory_are_counted_also_of_what_has_run_away(sandbox: Sandbox) -> None:
    """It has left its session, its parents and its mark: it belongs to no command any more."""
    away = f'mkdir /tmp/litter; cd /tmp/litter; env -i setsid -f /usr/bin/env python3 -c "{LITTER}"'
    innocent = await start(sandbox, "sleep 25", background=True)
    await run(sandbox, f"{away}; until [ -e 0 ]; do sleep 0.01; done")
    await until(sandbox, "! pgrep -f '[m]knod|[s]leep'")
    assert int((await run(sandbox, "ls -U /tmp/litter | wc -l")).stdout) > 8192 - 3
    assert isinstance(state := await sandbox.look(innocent), Exited)
    assert isinstance(state.exit, CommandExit)
    assert state.exit.ending is Ending.FILES_LIMIT


async def test_a_file_has_a_largest_size(sandbox: Sandbox) -> None:
    done = await run(sandbox, "head -c 65M /dev/zero > big; stat -c %s big; rm big")
    assert done.stdout == f"{SMALL.file_bytes}\n"


async def test_descriptors_are_few(sandbox: Sandbox) -> None:
    done = await run(sandbox, "ulimit -n; ulimit -n 100000")
    assert done.stdout == "1024\n"
    assert done.exit.status != 0


async def test_descriptors_in_flight_do_not_stop_the_agent(sandbox: Sandbox) -> None:
    """They count per user; the agent has the same one, but a limit far above a build's."""
    flood = (
        "import socket, array, time\n"
        "pairs = [socket.socketpair() for _ in range(40)]\n"
        "try:\n"
        "  for a, b in pairs:\n"
        "    for _ in range(50): socket.send_fds(a, [b'x'], [0])\n"
        "except OSError: pass\n"
        "open('up', 'w').close()\n"
        "time.sleep(25)"
    )
    op_id = await start(sandbox, f'python3 -c "{flood}"', background=True)
    await until(sandbox, "[ -e up ]")
    assert await sandbox.read("up") == b""
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"
    await sandbox.kill(op_id)


async def test_a_disk_hog_is_ended(backend: LocalBackend) -> None:
    await backend.start()
    sandbox = await make_ready(await backend.create("hog/1", Limits(disk_bytes=100 * 1024**2)))
    done = await run(sandbox, "for i in $(seq 1000); do head -c 5M /dev/urandom > file$i; sleep 0.05; done")
    assert done.exit.ending is Ending.DISK_LIMIT
    assert (await run(sandbox, "rm file*; ls")).stdout == ""
    await sandbox.close()


async def test_who_makes_too_many_files_is_ended_also_behind_a_locked_door(backend: LocalBackend) -> None:
    await backend.start()
    sandbox = await make_ready(await backend.create("litterer/1", Limits(files=5_000)))
    litter = (
        "import os, time\n"
        "for n in range(30_000):\n"
        "  os.mknod(str(n))\n"
        "  if n % 1000 == 0: time.sleep(0.02)\n"
        "time.sleep(25)"
    )
    done = await run(sandbox, f"mkdir --mode=300 dark; cd dark; python3 -c '{litter}'")
    assert done.exit.ending is Ending.FILES_LIMIT
    assert (await run(sandbox, "chmod 700 dark; rm -r dark; ls")).stdout == ""
    await sandbox.close()
