"""What a build leaves lying about for whoever looks at it from outside: links, and a repository that runs programs."""

import asyncio
import io
import tarfile
from pathlib import Path

import pytest

from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.local.backend import LocalBackend
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.packing import bundled
from tests.support.sandboxes import SMALL, journal_of, make_ready, run, write_file

CANARY = "alive"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the machine, in a folder of its own."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "canary").write_text(CANARY)
    (folder / "canary").chmod(0o600)
    return folder / "canary"


def is_untouched(canary: Path) -> bool:
    """Whether it stands there as it did, and alone."""
    alone = [path.name for path in canary.parent.iterdir()] == [canary.name]
    return alone and canary.read_text() == CANARY and canary.stat().st_mode & 0o777 == 0o600


async def test_links_in_every_folder_lead_nobody_out(backend: LocalBackend, canary: Path) -> None:
    sandbox = await make_ready(await backend.create("plants/1", SMALL))
    places = f"/workspace /home/user /workspace/locked {journal_of(sandbox)}"
    plant = f"for place in {places}; do ln -s {canary} $place/file; ln -s {canary.parent} $place/folder; done"
    assert (await run(sandbox, f"mkdir locked; {plant}; chmod 000 locked")).exit.status == 0
    with pytest.raises(FileRefused):
        await sandbox.read("file")
    assert (await write_file(sandbox, "folder/new", b"x")).problem in (FileProblem.OUTSIDE, FileProblem.NOT_FOUND)
    archive = b"".join([piece async for piece in sandbox.archive(["file", "folder"])])
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert [member.type for member in opened] == [tarfile.SYMTYPE, tarfile.SYMTYPE]
    await sandbox.close()
    await backend.destroy("plants/1")  # deletes, and opens what was locked, from outside
    assert is_untouched(canary)


async def test_a_hostile_repository_runs_inside_only(sandbox: Sandbox, canary: Path) -> None:
    mark = canary.parent / "mark"
    hostile = f"git init -q; git config core.fsmonitor 'touch {mark} /workspace/ran #'; : > f; git add f; rm -f ran"
    assert (await run(sandbox, hostile)).exit.status == 0
    bundle = b"".join([piece async for piece in bundled(sandbox, "name", asyncio.Lock())])
    assert bundle.startswith(b"# v")
    assert is_untouched(canary)
