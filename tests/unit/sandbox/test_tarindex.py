"""What is found in archives is what tar has put into them; what is no archive is refused."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taor_sandbox.backends.errors import FileRefused
from taor_sandbox.backends.tar import CREATE
from taor_sandbox.spool import Spool
from taor_sandbox.tarindex import files_in

LONG = "/".join(["a folder whose name is rather long"] * 9)
NAMES = ["plain", "-dash", "with space", "ü", os.fsdecode(b"bad\xffname"), f"{LONG}/f", "n" * 120, "line\nfeed", "a=b"]


@pytest.fixture
def spool() -> Iterator[Spool]:
    with tempfile.TemporaryFile() as file:
        yield file


def packed(folder: Path, *paths: str) -> bytes:
    """What tar makes of them."""
    return subprocess.run([*CREATE, f"--directory={folder}", "--", *paths], capture_output=True, check=True).stdout


def found(spool: Spool, archives: bytes) -> dict[str, bytes]:
    spool.write(archives)
    spool.flush()
    return {path: os.pread(spool.fileno(), size, start) for path, start, size in files_in(spool.fileno())}


def test_every_file_is_found_by_its_name_in_archives_one_behind_the_other(tmp_path: Path, spool: Spool) -> None:
    contents = {name: os.urandom(index * 300) for index, name in enumerate(NAMES)}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to("plain")
    for name in ("-dash", f"{LONG}/f"):
        (tmp_path / f"{name} too").hardlink_to(tmp_path / name)
        contents[f"{name} too"] = contents[name]
    archives = packed(tmp_path, *NAMES[:4], "link", "-dash too")
    archives += packed(tmp_path, *NAMES[4:], f"{LONG}/f too")
    assert found(spool, archives) == contents


def test_nothing_is_an_archive_of_nothing(spool: Spool) -> None:
    assert found(spool, b"") == {}


def test_what_is_no_archive_is_refused(tmp_path: Path, spool: Spool) -> None:
    (tmp_path / "f").write_bytes(b"x" * 2000)
    whole = packed(tmp_path, "f")
    header = 1024  # behind the header of the records, and the records
    assert whole[header : header + 2] == b"f\0"
    for broken in (
        b"nonsense" * 64,
        whole[: header + 1024],
        whole[: header + 124] + b"-0000000001\0" + whole[header + 136 :],
        whole[: header + 124] + b"\x80" + whole[header + 125 :],
        whole.replace(b" mtime=", b"9mtime=", 1),
    ):
        spool.seek(0)
        spool.truncate()
        with pytest.raises(FileRefused):
            found(spool, broken)
