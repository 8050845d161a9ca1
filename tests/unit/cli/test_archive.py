"""An archive is unpacked strictly inside one new folder."""

import io
import tarfile
from pathlib import Path

import pytest

from taor_cli.archive import unpack
from taor_cli.exits import ThingFailedError, UsageError


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def test_files_folders_modes_and_inner_links_come_out(tmp_path: Path) -> None:
    unpacked = unpack(
        archive(
            (member("./app", tarfile.DIRTYPE), b""),
            (member("./app/run.sh", mode=0o4777), b"echo"),
            (member("./app/data.txt", mode=0o666), b"x"),
            (member("./app/latest", tarfile.SYMTYPE, link="../app/data.txt"), b""),
        ),
        tmp_path / "out",
    )
    assert (unpacked.files, unpacked.bytes, unpacked.left_out) == (2, 5, ())
    assert (tmp_path / "out/app/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/app/data.txt").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "out/app/latest").read_text() == "x"


def test_what_leads_outside_or_is_no_file_is_left_out_and_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    unpacked = unpack(
        archive(
            (member("../outside"), b"1"),
            (member(str(outside)), b"2"),
            (member("a/absolute", tarfile.SYMTYPE, link="/etc/passwd"), b""),
            (member("a/up", tarfile.SYMTYPE, link="../../outside"), b""),
            (member("pipe", tarfile.FIFOTYPE), b""),
            (member("hard", tarfile.LNKTYPE, link="../outside"), b""),
        ),
        tmp_path / "out",
    )
    assert not outside.exists()
    assert unpacked.files == 0
    assert set(unpacked.left_out) == {"../outside", str(outside), "a/absolute", "a/up", "pipe", "hard"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    unpack(
        archive(
            (member("inner", tarfile.DIRTYPE), b""),
            (member("link", tarfile.SYMTYPE, link="inner"), b""),
            (member("link/file"), b"x"),
        ),
        tmp_path / "out",
    )
    assert (tmp_path / "out/link").is_dir()
    assert not (tmp_path / "out/link").is_symlink()
    assert not any((tmp_path / "out/inner").iterdir())


def test_nothing_of_a_persons_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        unpack(archive((member("mine.txt"), b"theirs")), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_broken_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ThingFailedError, match="broken"):
        unpack(io.BytesIO(b"no tar at all" * 100), tmp_path / "out")
