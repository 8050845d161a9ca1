"""The agent's look at the workspace, on a folder of ours."""

import os
import time
from pathlib import Path

import pytest

from taor_sandbox.agent import survey
from taor_sandbox.agent.files import FileProblemError
from taor_sandbox.agent.survey import Surveyor

ROUNDS = 40


def test_only_differences_from_the_last_look_are_told(tmp_path: Path) -> None:
    surveyor = Surveyor(str(tmp_path))
    for name in ("stays", "changes", "goes"):
        (tmp_path / name).touch()
    first = surveyor.survey("")
    (tmp_path / "changes").write_text("x")
    (tmp_path / "goes").unlink()
    (tmp_path / "comes").touch()
    second = surveyor.survey(first.stamp)
    assert (second.is_whole, second.gone) == (False, ["goes"])
    assert {each[0] for each in second.there} == {"changes", "comes"}
    third = surveyor.survey(first.stamp)
    assert (third.is_whole, third.gone) == (True, []), "of the first look nothing is known any more"
    assert {each[0] for each in third.there} == {"stays", "changes", "comes"}


def test_a_change_right_after_a_look_is_seen_by_the_next_one(tmp_path: Path) -> None:
    """The same size, and the same name: only the time can tell, and that moves on by whole ticks."""
    file, surveyor = tmp_path / "f", Surveyor(str(tmp_path))
    file.write_bytes(b"00")
    stamp = surveyor.survey("").stamp
    for number in range(1, ROUNDS):
        file.write_bytes(b"%02d" % number)
        seen = surveyor.survey(stamp)
        file.write_bytes(b"%02d" % -number)
        after = surveyor.survey(seen.stamp)
        assert [each[0] for each in after.there] == ["f"]
        stamp = after.stamp


def test_a_look_ends_when_the_clock_of_files_has_passed_what_it_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes within the same tick has the same time, on kernels that write no finer ones."""
    (tmp_path / "f").touch()
    changed_ns = (tmp_path / "f").stat().st_ctime_ns
    ticks = iter([changed_ns - 1, changed_ns, changed_ns, changed_ns + 1])
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: next(ticks))
    Surveyor(str(tmp_path)).survey("")
    assert list(ticks) == []


def test_times_in_the_future_stop_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").touch()
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: next(ticks))
    assert len(Surveyor(str(tmp_path)).survey("").there) == 1
    assert next(ticks) < 100, "it was given up after a tick's time"


def test_a_workspace_that_is_too_large_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MOST_PATHS", 3)
    for name in "abc":
        (tmp_path / name).touch()
    assert len(Surveyor(str(tmp_path)).survey("").there) == 3
    (tmp_path / "d").touch()
    with pytest.raises(FileProblemError) as refused:
        Surveyor(str(tmp_path)).survey("")
    assert refused.value.problem == "TOO_LARGE"


def test_a_look_that_failed_is_not_the_one_that_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surveyor = Surveyor(str(tmp_path))
    stamp = surveyor.survey("").stamp
    (tmp_path / "f").touch()
    with monkeypatch.context() as patched:
        patched.setattr(survey, "MOST_PATHS", 0)
        with pytest.raises(FileProblemError):
            surveyor.survey(stamp)
    after = surveyor.survey(stamp)
    assert (after.is_whole, [each[0] for each in after.there]) == (False, ["f"])


def test_another_users_file_is_looked_at_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode tells nothing; and to root, who may run this test, nothing is locked."""
    (tmp_path / "f").touch()
    monkeypatch.setattr(os, "geteuid", lambda: -1)
    monkeypatch.setattr(os, "access", lambda *_, **__: True)
    assert len(Surveyor(str(tmp_path)).survey("").there) == 1
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(FileProblemError) as refused:
        Surveyor(str(tmp_path)).survey("")
    assert refused.value.problem == "DENIED"
