"""The disk of the sandboxes has no inode left: what cannot be done is said, nothing is torn, and all goes on later.

The disk is a real one, a tmpfs with few inodes, which the kernel lets an ordinary user mount in a user namespace of
his own; root mounts one too where it is root that the tests run as.
"""

import asyncio
import ctypes
import itertools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceStub

from taor_chassis.client import BoundedChannel
from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.local.backend import open_backend, prepare
from taor_sandbox.backends.local.bwrap import find_bwrap
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness
from tests.support.cut_proxy import cut_proxy

INODES = 1500
SECONDS = 60
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
MAY_MOUNT = {
    "user": ("--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-add", "CAP_SYS_ADMIN"),
    "root": ("--cap-add", "ALL"),
}


@pytest.mark.parametrize("who", ["user", "root"] if os.geteuid() == 0 else ["user"])
async def test_without_inodes_what_cannot_be_done_is_said_and_nothing_is_torn(
    migrated_database: Callable[[str], str], tmp_path: Path, who: str
) -> None:
    (tmp_path / "disk").mkdir()
    argv = (*MAY_MOUNT[who], "--dev-bind", "/", "/", sys.executable, "-m", __spec__.name, who)
    async with reachable(migrated_database("taor_sandbox")) as dsn, asyncio.timeout(SECONDS):
        process = await asyncio.create_subprocess_exec(
            *(str(find_bwrap()), *argv, str(tmp_path / "disk"), dsn),
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@asynccontextmanager
async def reachable(dsn: str) -> AsyncIterator[str]:
    """The same database for whoever may not enter the folder of its socket."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    socket = f"unix:{asked['host'][0]}/.s.PGSQL.{asked['port'][0]}"
    async with cut_proxy(socket) as (_, address):
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc}{address}", query=""))


class Disk:
    """A file system with few inodes, all of which can be taken, by files beside the sandboxes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fillers: list[Path] = []
        self._numbers = itertools.count()

    def mount(self) -> None:
        """Only this process sees it. The right to mount goes with that, for no sandbox is made by who has it."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"disk", bytes(self.path), b"tmpfs", 0, f"size=256m,nr_inodes={INODES}".encode()) != 0:
            raise OSError(ctypes.get_errno(), "the disk could not be mounted")
        libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)

    @property
    def free(self) -> int:
        """How many inodes are left."""
        return os.statvfs(self.path).f_favail

    def fill(self) -> None:
        """Take all that are left."""
        while self.free:
            self._fillers.append(self.path / f"filler {next(self._numbers)}")
            self._fillers[-1].touch()

    def give_back(self, count: int | None = None) -> None:
        """Give so many back, or all."""
        for filler in self._fillers[:count]:
            filler.unlink()
        del self._fillers[:count]


async def refusal(call: Awaitable[object]) -> tuple[str, str]:
    """The status and the sentence of a refused call."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    raise AssertionError(f"it was not refused: {answer!r}")


async def is_refused_for_now(call: Awaitable[object]) -> None:
    """Refused in a way that callers wait and ask again, and with the reason."""
    status, said = await refusal(call)
    assert status == "UNAVAILABLE", (status, said)
    assert "No space left" in said, said


async def until_it_runs(disk: Disk, harness: Harness, sequence: int) -> pb.ToolResult:
    """Try a command with one inode more each time; whoever is refused leaves none behind."""
    for count in range(1, 10):
        disk.fill()
        disk.give_back(count)
        before = disk.free
        try:
            return await harness.bash(sequence, "pwd; echo $((6 * 7))")
        except grpc.aio.AioRpcError as error:
            refused = error.code()
        assert refused is grpc.StatusCode.UNAVAILABLE
        assert disk.free == before == count
    raise AssertionError("it never ran")


async def attach_and_run(harness: Harness, sequence: int, command: str) -> pb.ToolResult:
    """An attach tells of what fails behind it to whoever asks next."""
    await harness.attach()
    return await harness.bash(sequence, command)


async def _live(disk: Disk, who: str, dsn: str) -> None:
    """What happens on that disk; fails with an assertion."""
    path = disk.path
    config = SandboxConfig(listen="127.0.0.1:0", dsn=dsn, token="t", data=path / "sandboxes", blobs=path / "blobs")
    backend = prepare(config.data)  # not started: its watchdog would stop whoever still gets an inode
    assert backend.variant.value.lower() == who
    harness = Harness(config, backend)
    await harness.start()
    # What is refused for now is to be told at once here, and not asked again for a second.
    channel = grpc.aio.insecure_channel(harness.address, options=[("grpc.enable_retries", 0)])
    harness.stub = SandboxServiceStub(BoundedChannel(channel, config.token, SECONDS, {}))
    sleeper, stranger = harness.beside(), harness.beside()
    await attach_and_run(sleeper, 1, "echo asleep > ~/outside")
    await sleeper.release(pb.ReleaseSandboxRequest.PAUSE)
    await harness.attach()
    await harness.write(1, "kept", "old\n")
    await harness.snapshot()

    await _is_told(disk, harness, sleeper, stranger)
    await _is_whole(disk, harness, stranger)
    await _goes_on(disk, harness, sleeper, stranger)
    await channel.close()
    await harness.stop()
    await harness.destroy_sandboxes()
    await backend.close()


async def _is_told(disk: Disk, harness: Harness, sleeper: Harness, stranger: Harness) -> None:
    """Without a single inode."""
    wait = "until [ -e /tmp/go ]; do sleep 0.01; done"
    running = await harness.begin(2, f"echo begun; {wait}; echo more >> kept; echo x > new; echo done")
    disk.fill()
    await harness.touch("/tmp/go")
    ended = await running.result()
    assert ended.exit_status == 0, "what runs is recorded to its end"
    assert "done\n" in ended.text
    assert "No space left" in ended.text
    await is_refused_for_now(harness.bash(3, "pwd; echo $((6 * 7))"))
    assert (await harness.run(harness.request(3, 9, read_file=pb.ReadFile(path="kept")))).text.endswith("more\n")
    assert await refusal(harness.snapshot()) == ("UNAVAILABLE", "the files could not be stored; try again")
    await is_refused_for_now(attach_and_run(sleeper, 2, "cat ~/outside"))
    await is_refused_for_now(attach_and_run(stranger, 1, "echo here"))
    harness.take_over()
    await is_refused_for_now(harness.attach())
    with pytest.raises(BackendUnavailable, match="No space left"):
        await open_backend(disk.path / "sandboxes")
    assert disk.free == 0, "nothing of an attempt is left"


async def _is_whole(disk: Disk, harness: Harness, stranger: Harness) -> None:
    """With a few: an operation is begun with all that it needs, or not at all."""
    disk.give_back(1)
    await harness.attach()
    assert (await until_it_runs(disk, harness, 3)).text == "/workspace\n42\n"
    disk.fill()
    disk.give_back(1)
    await is_refused_for_now(harness.write(4, "kept", "new\n"))
    assert disk.free == 1
    disk.give_back(1)
    written = await harness.write(4, "kept", "new\n")
    assert written.failure.code == pb.Failure.LIMIT
    assert "The disk of the sandbox is full" in written.text
    async with harness.sandbox() as sandbox:
        assert (await sandbox.run(["grep", "-r", ".", "."])).stdout == b"./kept:old\n./kept:more\n", (
            "no half a file is there"
        )
    disk.fill()
    disk.give_back(4)
    await is_refused_for_now(attach_and_run(stranger, 1, "echo here"))
    assert disk.free == 4, "half a sandbox is none"


async def _goes_on(disk: Disk, harness: Harness, sleeper: Harness, stranger: Harness) -> None:
    """With room again."""
    disk.give_back()
    assert (await harness.write(5, "kept", "new\n")).text.startswith("Wrote")
    assert (await harness.snapshot()).file_count == 1
    assert (await attach_and_run(sleeper, 2, "cat ~/outside")).text == "asleep\n", "it was not taken for lost"
    assert (await attach_and_run(stranger, 1, "echo here")).text == "here\n"
    found = await harness.operations()
    assert [(each.state, each.claims) for each in found] == [(pb.Operation.DONE, 1)] * 5
    disk.fill()
    await harness.lose_sandbox()
    assert disk.free, "to destroy makes room, and needs none"
    disk.give_back()
    assert (await attach_and_run(harness, 6, "cat kept")).text == "new\n"


if __name__ == "__main__":
    small = Disk(Path(sys.argv[2]))
    small.mount()
    asyncio.run(_live(small, sys.argv[1], sys.argv[3]))
