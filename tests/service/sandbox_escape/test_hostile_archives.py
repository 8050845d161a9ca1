"""Archives made to break out: tar unpacks them inside, so they reach what a command could reach anyway, and no more."""

import contextlib
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taor_sandbox.backends.errors import FileRefused
from taor_sandbox.backends.port import Sandbox
from tests.support.sandboxes import run

CONTENT = b"evil\n"


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link that leads anywhere."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def file(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    """A file with the content above."""
    made = tarfile.TarInfo(name)
    made.size, made.mode = len(CONTENT), mode
    return made


def device(name: str) -> tarfile.TarInfo:
    """The machine's first disk."""
    made = tarfile.TarInfo(name)
    made.type, made.devmajor, made.devminor, made.mode = tarfile.BLKTYPE, 254, 0, 0o666
    return made


def names(folder: Path) -> set[str]:
    """What stands in a folder of the machine."""
    return {path.name for path in folder.iterdir()}


async def unpack(sandbox: Sandbox, *members: tarfile.TarInfo) -> None:
    """Unpack an archive of these members as a restore does; tar may complain."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(CONTENT) if member.isreg() else None)

    async def stream() -> AsyncIterator[bytes]:
        yield buffer.getvalue()

    with contextlib.suppress(FileRefused):
        await sandbox.unpack(stream())


async def test_names_that_lead_out_touch_nothing_of_the_machine(sandbox: Sandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("alive")
    up = "../" * 20 + str(canary).lstrip("/")
    await unpack(sandbox, file(str(canary)), file(up), file("/usr/bin/evil"), file("/etc/passwd"), file("kept"))
    assert canary.read_text() == "alive"
    assert "evil" not in names(Path("/usr/bin"))
    said = await run(sandbox, "cat kept; ls /usr/bin/evil; grep -c evil /etc/passwd")
    assert said.stdout == "evil\n0\n"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
async def test_links_that_lead_out_lead_nowhere(sandbox: Sandbox, tmp_path: Path, kind: bytes) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive")
    await unpack(sandbox, link("out", str(outside), kind), file("out/canary"), file("out/new"))
    assert names(outside) == {"canary"}
    assert (outside / "canary").read_text() == "alive"


async def test_a_device_is_not_made(sandbox: Sandbox) -> None:
    await unpack(sandbox, device("disk"))
    assert (await run(sandbox, "test -b disk")).exit.status == 1


async def test_a_setuid_file_gains_nothing(sandbox: Sandbox) -> None:
    owned = file("suid", 0o6755)
    owned.uid = owned.gid = 0
    await unpack(sandbox, owned)
    assert (await run(sandbox, "stat -c %U suid")).stdout == (await run(sandbox, "id -un")).stdout
