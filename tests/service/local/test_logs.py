"""Logs stay bounded while somebody writes to them."""

from pathlib import Path

from taor_local.logs import bound, open_log, tail


def test_a_large_log_is_moved_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with open_log(log) as writer:
        writer.write(b"old\n" * 100)
        bound(tmp_path, largest_bytes=100)
        writer.write(b"new\n")
    assert (tmp_path / "part.log.1").read_bytes() == b"old\n" * 100
    assert log.read_bytes() == b"new\n"


def test_a_small_log_stays(tmp_path: Path) -> None:
    (tmp_path / "part.log").write_bytes(b"small")
    bound(tmp_path, largest_bytes=100)
    assert [path.name for path in tmp_path.iterdir()] == ["part.log"]


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert tail(log) == ""
    log.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert tail(log).splitlines() == [f"line {number}" for number in range(4994, 5000)]


def test_a_long_line_is_shortened(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("x" * 5000 + "\nlast\n")
    first, last = tail(log).splitlines()
    assert len(first) < 300
    assert last == "last"
