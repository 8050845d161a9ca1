"""Logs of the services as people read them."""

import json
from itertools import islice
from pathlib import Path

import pytest

from taor_cli.exits import UsageError
from taor_cli.logs import Entry, choose_logs, follow_logs, last_entries


def line(time: str, message: str, **more: str) -> str:
    return json.dumps({"time": time, "level": "INFO", "service": "s", "logger": "l", "message": message, **more}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "budget.log").write_text(line("2026-01-01T10:00:00", "one") + line("2026-01-01T10:00:02", "three"))
    (tmp_path / "sandbox.log").write_text(line("2026-01-01T10:00:01", "two", build_id="b") + "plain words\n")
    return tmp_path


def test_several_logs_are_merged_by_time_and_plain_lines_stay_in_their_place(folder: Path) -> None:
    entries = last_entries(choose_logs(folder, None), 10)
    told = [str(entry.fields().get("message", entry.raw)) for entry in entries]
    assert told == ["one", "two", "plain words", "three"]


def test_a_json_line_is_told_with_its_own_fields_last(folder: Path) -> None:
    (entry, _) = last_entries(choose_logs(folder, "sandbox"), 2)
    assert entry.readable() == "2026-01-01T10:00:01 INFO    sandbox      two build_id=b"


def test_a_log_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in Entry("budget", line("t", "a\x1b[2Jb")).readable()
    assert "\x1b" not in Entry("postgres", "a\x1b[2Jb").readable()


def test_only_the_last_lines_are_told(folder: Path) -> None:
    assert len(last_entries(choose_logs(folder, None), 1)) == 2
    assert last_entries(choose_logs(folder, "budget"), 0) == ()


def test_an_unknown_service_is_told_which_there_are(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        choose_logs(folder, "money")
    assert "budget, sandbox" in caught.value.advice
    with pytest.raises(UsageError, match="no logs"):
        choose_logs(folder / "absent", None)


def test_a_followed_log_is_read_on_also_after_it_was_cut_short(folder: Path) -> None:
    log = folder / "budget.log"
    with follow_logs([log]) as following:
        with log.open("a") as file:
            file.write(line("t", "four") + "half a li")
        assert [entry.fields()["message"] for entry in islice(following, 1)] == ["four"]
        log.write_text("new\n")
        assert [entry.raw for entry in islice(following, 1)] == ["new"]
