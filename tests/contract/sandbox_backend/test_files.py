"""Files by path: written once and whole, read by regular file only, moved as archives."""

import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from taor_sandbox.backends.errors import FileProblem, FileRefused, InvalidRequest
from taor_sandbox.backends.port import MAX_WRITE_BYTES, Backend, FileKind, Sandbox
from tests.support.sandboxes import EPOCH, SMALL, run, write, write_file


async def test_a_file_is_written_whole_with_its_folders(sandbox: Sandbox) -> None:
    content = os.urandom(300_000)
    record = await write_file(sandbox, "a/b/file.bin", content)
    assert (record.problem, record.created, record.sha256) == (None, True, hashlib.sha256(content).hexdigest())
    assert await sandbox.read("/workspace/a/b/file.bin") == content
    assert (await run(sandbox, "ls -A a/b; stat -c %a a/b/file.bin")).stdout == "file.bin\n644\n"


async def test_a_write_happens_once(sandbox: Sandbox) -> None:
    first = write("file", b"first")
    state = await sandbox.claim_write(first)
    await run(sandbox, "echo changed > file")
    assert await sandbox.claim_write(first) == state
    assert await sandbox.look(first.op_id) == state
    assert await sandbox.read("file") == b"changed\n"


async def test_a_replaced_file_keeps_its_mode_unless_told(sandbox: Sandbox) -> None:
    await run(sandbox, "echo old > script; chmod 750 script")
    assert not (await write_file(sandbox, "script", b"new")).created
    assert (await sandbox.stat("script")).mode == 0o750
    await write_file(sandbox, "script", b"newer", mode=0o600)
    assert (await sandbox.stat("script")).mode == 0o600


async def test_a_write_with_an_expectation_fails_when_the_file_has_changed(sandbox: Sandbox) -> None:
    old = hashlib.sha256(b"old").hexdigest()
    await write_file(sandbox, "file", b"old")
    assert (await write_file(sandbox, "file", b"new", expected_sha256=old)).problem is None
    assert (await write_file(sandbox, "file", b"newer", expected_sha256=old)).problem is FileProblem.CHANGED
    assert (await write_file(sandbox, "absent", b"new", expected_sha256=old)).problem is FileProblem.CHANGED
    assert await sandbox.read("file") == b"new"


async def test_a_failed_write_is_recorded_too(sandbox: Sandbox) -> None:
    await run(sandbox, "mkdir target")
    failed = write("target", b"x")
    state = await sandbox.claim_write(failed)
    await run(sandbox, "rmdir target")
    assert await sandbox.claim_write(failed) == state


@pytest.mark.parametrize(
    ("prepare", "path", "problem"),
    [
        ("true", "../etc/passwd", FileProblem.OUTSIDE),
        ("true", "/usr/bin/new", FileProblem.OUTSIDE),
        ("ln -s /home/user out", "out/file", FileProblem.OUTSIDE),
        ("mkdir folder", "folder", FileProblem.NOT_REGULAR),
        ("mkfifo pipe", "pipe", FileProblem.NOT_REGULAR),
        ("echo > file", "file/below", FileProblem.NOT_FOUND),
        ("mkdir locked; chmod 500 locked", "locked/file", FileProblem.DENIED),
        ("true", ".", FileProblem.OUTSIDE),
    ],
)
async def test_what_cannot_be_written_says_why(sandbox: Sandbox, prepare: str, path: str, problem: FileProblem) -> None:
    await run(sandbox, prepare)
    assert (await write_file(sandbox, path, b"x")).problem is problem


async def test_a_link_within_the_workspace_is_followed(sandbox: Sandbox) -> None:
    await run(sandbox, "mkdir real; echo old > real/file; ln -s real/file link")
    assert (await write_file(sandbox, "link", b"new")).problem is None
    assert (await run(sandbox, "cat real/file; readlink link")).stdout == "newreal/file\n"


async def test_a_write_without_room_says_so_and_leaves_the_file(sandbox: Sandbox) -> None:
    await run(sandbox, "echo old > /tmp/file")
    await run(sandbox, "head -c 64M /dev/zero > /tmp/filler")
    record = await write_file(sandbox, "/tmp/file", b"x" * 1_000_000, within="/tmp")
    assert record.problem is FileProblem.NO_SPACE
    assert (await run(sandbox, "cat /tmp/file; ls -A /tmp")).stdout == "old\nfile\nfiller\n"


async def test_too_much_at_once_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidRequest):
        await sandbox.claim_write(write("big", b"x" * (MAX_WRITE_BYTES + 1)))


async def test_reading_takes_an_offset_and_a_limit(sandbox: Sandbox) -> None:
    await write_file(sandbox, "file", b"0123456789")
    assert await sandbox.read("file", offset=3, limit=4) == b"3456"
    assert await sandbox.read("file", offset=100) == b""


@pytest.mark.parametrize(
    ("prepare", "path", "problem"),
    [
        ("true", "absent", FileProblem.NOT_FOUND),
        ("mkdir folder", "folder", FileProblem.NOT_REGULAR),
        ("mkfifo pipe", "pipe", FileProblem.NOT_REGULAR),
        ("true", "/dev/zero", FileProblem.NOT_REGULAR),
        ("ln -s loop loop", "loop", FileProblem.NOT_FOUND),
        ("echo > secret; chmod 000 secret", "secret", FileProblem.DENIED),
    ],
)
async def test_what_cannot_be_read_says_why(sandbox: Sandbox, prepare: str, path: str, problem: FileProblem) -> None:
    await run(sandbox, prepare)
    with pytest.raises(FileRefused) as refused:
        await sandbox.read(path)
    assert refused.value.problem is problem


async def test_a_locked_project_is_open_to_its_owner_again(backend: Backend, sandbox: Sandbox) -> None:
    """Nobody could unlock it otherwise: every command begins in there."""
    lock = "chmod 000 /workspace"
    await write_file(sandbox, "file", b"kept")
    await run(sandbox, lock)
    assert (await run(sandbox, f"cat file; {lock}")).stdout == "kept"
    assert await sandbox.read("file") == b"kept"
    await run(sandbox, lock)
    assert (await write_file(sandbox, "other", b"x")).created
    await run(sandbox, lock)
    assert [piece async for piece in sandbox.archive(["."])]
    await run(sandbox, lock)
    await backend.pause(sandbox.provider_id, EPOCH)
    woken = await backend.attach(sandbox.provider_id)
    assert await woken.read("file") == b"kept"
    await woken.close()


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 5000])
async def test_a_path_that_cannot_be_is_no_harm(sandbox: Sandbox, path: str) -> None:
    with pytest.raises((InvalidRequest, FileRefused)):
        await sandbox.read(path)
    with pytest.raises((InvalidRequest, FileRefused)):
        await sandbox.stat(path)
    assert (await write_file(sandbox, path, b"x")).problem is FileProblem.FAILED
    with pytest.raises(InvalidRequest):
        await sandbox.run(["echo", "a\0b"])
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"


async def test_stat_tells_the_real_path(sandbox: Sandbox) -> None:
    await run(sandbox, "mkdir real; printf 12345 > real/file; ln -s real link; mkfifo pipe")
    found = await sandbox.stat("link/file")
    assert (found.real_path, found.kind, found.size_bytes) == ("/workspace/real/file", FileKind.REGULAR, 5)
    assert (await sandbox.stat("link")).kind is FileKind.DIRECTORY
    assert (await sandbox.stat("pipe")).kind is FileKind.OTHER
    with pytest.raises(FileRefused):
        await sandbox.stat("absent")


async def test_an_archive_brings_everything_to_another_sandbox(backend: Backend, sandbox: Sandbox) -> None:
    made = "mkdir -p empty a/b; head -c 3M /dev/urandom > a/b/big; ln -s /absolute/link link; ln a/b/big hard"
    names = "touch $'new\\nline' ' -f'; chmod 700 a; chmod 4755 a/b/big; touch -d @1000000000 empty a"
    await run(sandbox, f"{made}; {names}")
    other = await backend.create("build/2", SMALL)
    await other.unpack(sandbox.archive(["."]))
    listing = ["/bin/bash", "-c", r"find . -printf '%p %y %m %l %TY %n\n' | sort; sha256sum a/b/big"]
    assert (await other.run(listing)).stdout == (await sandbox.run(listing)).stdout
    assert b"hard f 4755  " in (await other.run(listing)).stdout
    await other.close()


async def test_an_archive_that_fails_says_why(sandbox: Sandbox) -> None:
    with pytest.raises(FileRefused, match="absent"):
        async for _ in sandbox.archive(["absent"]):
            pass


async def test_an_archive_that_is_left_early_leaves_no_process(sandbox: Sandbox) -> None:
    await run(sandbox, "head -c 30M /dev/urandom > big")
    stream = sandbox.archive(["big"])
    assert await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined] # an async generator, of which the port names the iterator
    processes = await sandbox.run(["/bin/bash", "-c", "cat /proc/[0-9]*/comm"])
    assert b"tar" not in processes.stdout


async def test_a_broken_archive_is_refused(sandbox: Sandbox) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield os.urandom(100_000)

    with pytest.raises(FileRefused):
        await sandbox.unpack(stream())
