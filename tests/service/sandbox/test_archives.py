"""The files of a build as zip archives and git bundles, as the programs of their formats read them."""

import asyncio
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.backends.port import RunResult, Sandbox, Stream
from taor_sandbox.errors import GitMissing
from taor_sandbox.packing import bundled, zipped
from tests.service.sandbox.harness import Harness, reason_of

TREE = (
    "mkdir -p src/empty; echo 'print(1)' > src/app.py; chmod 755 src/app.py; ln -s app.py src/link; : >zero; mkfifo p"
)
EXPECTED = {
    "src/": (b"", stat.S_IFDIR | 0o755),
    "src/empty/": (b"", stat.S_IFDIR | 0o755),
    "src/app.py": (b"print(1)\n", stat.S_IFREG | 0o755),
    "src/link": (b"app.py", stat.S_IFLNK | 0o777),
    "zero": (b"", stat.S_IFREG | 0o644),
}


class WithoutGit:
    """A sandbox whose commands find these few programs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __getattr__(self, name: str) -> object:
        return getattr(self._sandbox, name)

    async def run(self, argv: Sequence[str], **options: Any) -> RunResult:
        return await self._sandbox.run(argv, env={"PATH": "/workspace/few"}, **options)


async def git(*arguments: str, cwd: Path) -> str:
    """What git says; it works on what came out of the service."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def cloned(harness: Harness, tmp_path: Path, name: str) -> Path:
    """A clone of the bundle of the project."""
    (tmp_path / f"{name}.bundle").write_bytes(await harness.download(pb.DownloadFilesRequest.GIT_BUNDLE))
    await git("clone", "-q", f"{name}.bundle", name, cwd=tmp_path)
    return tmp_path / name


async def left_inside(harness: Harness) -> bytes:
    """The names of what archives have left beside the journal of operations."""
    async with harness.sandbox() as sandbox:
        claims = str(PurePosixPath(sandbox.log_path("any", Stream.STDOUT)).parents[1])
        return (await sandbox.run(["find", claims, "-name", "archive-*", "-printf", "%P\\n"])).stdout


def writer_of(pipe: Path) -> int | None:
    """The writing end of a pipe that somebody waits at to read; None while nobody does."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def members(archive: bytes) -> dict[str, tuple[bytes, int]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {info.filename: (opened.read(info), info.external_attr >> 16) for info in opened.infolist()}


async def test_a_zip_holds_the_same_from_the_sandbox_and_from_the_snapshot(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, TREE)
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED
    assert "taor" not in (await harness.bash(2, "ls -A ~")).text, "nothing stays inside"
    assert await left_inside(harness) == b""
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED


LOCKED_TREE = (
    "echo a > secret; chmod 000 secret; mkdir -p dark/er; echo b > dark/er/b; chmod 000 dark/er; chmod 300 dark"
)
LOOK_AT_LOCKED = "stat -c '%n %a' secret dark; cat secret 2>&1; chmod 700 dark; stat -c %a dark/er; chmod 300 dark"
EXPECTED_LOCKED = {
    "secret": (b"a\n", stat.S_IFREG),
    "dark/": (b"", stat.S_IFDIR | 0o300),
    "dark/er/": (b"", stat.S_IFDIR),
    "dark/er/b": (b"b\n", stat.S_IFREG | 0o644),
}


async def test_what_its_owner_has_locked_is_in_an_archive_and_stays_locked(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, LOCKED_TREE)
    seen = (await harness.bash(2, LOOK_AT_LOCKED)).text
    assert "Permission denied" in seen, "else this test shows nothing"
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED_LOCKED
    with tarfile.open(fileobj=io.BytesIO(await harness.download())) as opened:
        assert {each.name: each.mode for each in opened} == {
            "secret": 0,
            "dark": 0o300,
            "dark/er": 0,
            "dark/er/b": 0o644,
        }
    assert (await harness.bash(3, LOOK_AT_LOCKED)).text == seen
    await harness.bash(4, "chmod 000 /workspace")
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED_LOCKED
    await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED_LOCKED, "while it sleeps, too"


async def test_what_its_owner_has_locked_is_in_a_bundle_and_stays_locked(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    await harness.bash(1, LOCKED_TREE)
    seen = (await harness.bash(2, LOOK_AT_LOCKED)).text
    await harness.bash(3, "chmod 000 /workspace")
    clone = await cloned(harness, tmp_path, "files")
    assert (clone / "secret").read_text() + (clone / "dark/er/b").read_text() == "a\nb\n"
    assert await git("log", "--format=%B", cwd=clone) == "The files of the build\n\n"
    assert (await harness.bash(4, LOOK_AT_LOCKED)).text == seen
    commit = "git -c user.name=a -c user.email=a@b commit -q -m one"
    await harness.bash(5, f"git init -q; echo c > c; git add c; {commit}; chmod 000 .git/objects .git")
    assert await git("log", "--format=%s", cwd=await cloned(harness, tmp_path, "history")) == "one\n"
    assert (await harness.bash(6, "stat -c %a .git; chmod 700 .git; stat -c %a .git/objects")).text == "0\n0\n"


@pytest.mark.parametrize("form", [pb.DownloadFilesRequest.ZIP, pb.DownloadFilesRequest.GIT_BUNDLE])
async def test_a_home_that_its_owner_has_locked_is_in_nobodys_way(
    harness: Harness, form: pb.DownloadFilesRequest.Format.ValueType
) -> None:
    await harness.attach()
    await harness.bash(1, "echo a > a; chmod 000 ~; ! touch ~/file 2>/dev/null || echo open")
    assert await harness.download(form)
    assert (await harness.bash(2, "stat -c %a ~")).text == "0\n"
    assert await left_inside(harness) == b""


async def test_whoever_leaves_early_leaves_nothing_inside_and_all_locked(harness: Harness) -> None:
    await harness.attach()
    # Git waits at the pipe for the name of a commit, and so it is there that the download breaks off.
    await harness.bash(1, "echo a > secret; chmod 000 secret; mkdir -p .git/objects .git/refs; mkfifo .git/HEAD")
    request = pb.DownloadFilesRequest(build_id=harness.build_id, format=pb.DownloadFilesRequest.GIT_BUNDLE)
    leaving = harness.stub.DownloadFiles(request)
    async with harness.sandbox() as sandbox:
        # No process inside is asked: what runs as the freeze begins stands still as well.
        pipe = harness.config.data / harness.build_id / str(harness.generation) / "workspace/.git/HEAD"
        writer = await harness.until(lambda: asyncio.to_thread(writer_of, pipe), lambda found: found is not None)
        assert (await sandbox.stat("secret")).mode == 0o400, "else this test shows nothing"
        leaving.cancel()
        assert writer is not None
        await harness.until(lambda: sandbox.stat("secret"), lambda found: found.mode == 0)
        await harness.until(lambda: left_inside(harness), lambda found: found == b"")
    os.close(writer)
    assert (await harness.bash(2, "rm .git/HEAD; pgrep git")).exit_status == 1


async def test_a_download_that_ends_half_way_leaves_nothing_inside(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "head -c 2M /dev/urandom > noise")
    async with harness.sandbox() as sandbox:
        pieces = cast("AsyncGenerator[bytes, None]", zipped(sandbox, "name"))
        await anext(pieces)
        assert await left_inside(harness) == b"archive-name\n", "else this test shows nothing"
        await pieces.aclose()
        assert await left_inside(harness) == b""


async def test_what_a_killed_service_has_left_goes_with_the_next_download(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(
        1, "cd /run/taor/journal/claims; mkdir archive-old archive-young; touch -d '2 hours ago' archive-old"
    )
    await harness.download(pb.DownloadFilesRequest.ZIP)
    assert await left_inside(harness) == b"archive-young\n", "it may be another download's"


async def test_nobody_reads_locked_files_while_a_snapshot_does(harness: Harness) -> None:
    """Each of the two would find the other's unlocked files, and take that for their modes."""
    await harness.attach()
    await harness.bash(1, LOCKED_TREE)
    async with harness.sandbox() as sandbox, sandbox.frozen():
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await harness.download()
    assert reason_of(raised) == "SANDBOX_UNAVAILABLE"


async def test_a_bundle_of_files_can_be_cloned(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    await harness.bash(1, f"{TREE}; printf 'ignored\\n' > .gitignore; : > ignored")
    clone = await cloned(harness, tmp_path, "files")
    assert (clone / "src/link").read_text() == "print(1)\n"
    assert not (clone / "ignored").exists()
    assert (await harness.bash(2, "ls -A . ~ | grep -i -e git$ -e taor")).exit_status == 1, "nothing stays inside"
    assert await left_inside(harness) == b""
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.download(pb.DownloadFilesRequest.GIT_BUNDLE)
    assert reason_of(raised) == "SANDBOX_NOT_RUNNING"


async def test_a_bundle_of_a_repository_is_its_history(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    commit = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m"
    await harness.bash(1, f"git init -q; {commit} one; {commit} two; git branch other; git tag done; : > not-committed")
    clone = await cloned(harness, tmp_path, "history")
    assert await git("log", "--format=%s", cwd=clone) == "two\none\n"
    assert "origin/other" in await git("branch", "-r", cwd=clone)


async def test_a_hostile_repository_runs_inside_only(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    mark = tmp_path / "mark"
    hostile = f"git init -q; git config core.fsmonitor 'touch {mark} /workspace/ran #'; : > f; git add f; rm -f ran"
    await harness.bash(1, hostile)
    assert (await harness.download(pb.DownloadFilesRequest.GIT_BUNDLE)).startswith(b"# v")
    await harness.snapshot()
    assert not mark.exists()


async def test_no_git_inside_is_told(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "mkdir few; ln -s $(command -v mkdir find rm) few")
    async with harness.sandbox() as sandbox:
        with pytest.raises(GitMissing):
            async for _ in bundled(cast(Sandbox, WithoutGit(sandbox)), "name", asyncio.Lock()):
                pass
