"""One build fills the disk that all share: it is stopped before the disk is full, and the others go on.

The disk is a small one, which bubblewrap can mount for an ordinary user too.
"""

import asyncio
import sys
from pathlib import Path

from taor_sandbox.backends.local.backend import open_backend
from taor_sandbox.backends.local.bwrap import find_bwrap
from taor_sandbox.backends.port import Ending, Limits, Live
from tests.support.sandboxes import finish, make_ready, run, start, until

DISK_BYTES = 600 * 1024**2
TAKEN_BYTES = 240 * 1024**2
SECONDS = 60
# It stays below its own limit, and stops by itself long before the disk is full.
TAKE = "for n in $(seq 12); do head -c 20M /dev/zero > file$n; done; sleep 50"
KEEP_ON = "while :; do echo line >> lines; sleep 0.01; done"


async def test_whoever_takes_the_last_of_the_disk_is_stopped_and_nobody_else(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    small_disk = ("--unshare-user", "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/")
    mounted = (*small_disk, "--size", str(DISK_BYTES), "--tmpfs", str(disk))
    process = await asyncio.create_subprocess_exec(
        *(str(find_bwrap()), *mounted, sys.executable, "-m", __spec__.name, str(disk)), cwd=Path(__file__).parents[3]
    )
    async with asyncio.timeout(SECONDS):
        assert await process.wait() == 0


async def _fill(disk: Path) -> None:
    """What happens on that disk; fails with an assertion."""
    backend = await open_backend(disk)
    modest = await make_ready(await backend.create("modest/1", Limits()))
    hog = await make_ready(await backend.create("hog/1", Limits()))
    running = await start(modest, KEEP_ON, background=True)
    await until(modest, "[ -s lines ]")
    taking = await start(hog, TAKE, timeout_seconds=SECONDS)
    assert (await finish(hog, taking)).exit.ending is Ending.DISK_LIMIT
    # The disk stays as full as it is, and is looked at again and again: that harms nobody who takes little.
    lines = (await modest.read("lines")).count(b"\n")
    await until(modest, f"[ $(wc -l < lines) -gt {lines + 100} ]", seconds=20)
    assert isinstance(await modest.look(running), Live)
    assert (await run(hog, "rm file*; echo alive")).stdout == "alive\n"
    for key in ("modest/1", "hog/1"):
        await backend.destroy(key)
    await backend.close()


if __name__ == "__main__":
    asyncio.run(_fill(Path(sys.argv[1])))
