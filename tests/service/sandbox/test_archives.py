"""The files of a build as zip archives and git bundles, as the programs of their formats read them."""

import asyncio
import io
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.backends.port import RunResult, Sandbox
from taor_sandbox.errors import GitMissing
from taor_sandbox.packing import bundled
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


class WithoutPrograms:
    """A sandbox whose commands find no programs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __getattr__(self, name: str) -> object:
        return getattr(self._sandbox, name)

    async def run(self, argv: Sequence[str], **options: Any) -> RunResult:
        return await self._sandbox.run(argv, env={"PATH": "/nowhere"}, **options)


async def git(*arguments: str, cwd: Path) -> str:
    """What git says; it works on what came out of the service."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def members(archive: bytes) -> dict[str, tuple[bytes, int]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {info.filename: (opened.read(info), info.external_attr >> 16) for info in opened.infolist()}


async def test_a_zip_holds_the_same_from_the_sandbox_and_from_the_snapshot(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, TREE)
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED
    assert "taor" not in (await harness.bash(2, "ls -A ~")).text, "nothing stays inside"
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    assert members(await harness.download(pb.DownloadFilesRequest.ZIP)) == EXPECTED


async def test_a_bundle_of_files_can_be_cloned(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    await harness.bash(1, f"{TREE}; printf 'ignored\\n' > .gitignore; : > ignored")
    (tmp_path / "bundle").write_bytes(await harness.download(pb.DownloadFilesRequest.GIT_BUNDLE))
    await git("clone", "-q", "bundle", "clone", cwd=tmp_path)
    assert (tmp_path / "clone/src/link").read_text() == "print(1)\n"
    assert not (tmp_path / "clone/ignored").exists()
    assert (await harness.bash(2, "ls -A . ~ | grep -i -e git$ -e taor")).exit_status == 1, "nothing stays inside"
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.download(pb.DownloadFilesRequest.GIT_BUNDLE)
    assert reason_of(raised) == "SANDBOX_NOT_RUNNING"


async def test_a_bundle_of_a_repository_is_its_history(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    commit = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m"
    await harness.bash(1, f"git init -q; {commit} one; {commit} two; git branch other; git tag done; : > not-committed")
    (tmp_path / "bundle").write_bytes(await harness.download(pb.DownloadFilesRequest.GIT_BUNDLE))
    await git("clone", "-q", "bundle", "clone", cwd=tmp_path)
    assert await git("log", "--format=%s", cwd=tmp_path / "clone") == "two\none\n"
    assert "origin/other" in await git("branch", "-r", cwd=tmp_path / "clone")


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
    await harness.until_state(pb.GetSandboxResponse.READY)
    async with harness.sandbox() as sandbox:
        with pytest.raises(GitMissing):
            async for _ in bundled(cast(Sandbox, WithoutPrograms(sandbox)), "name"):
                pass
