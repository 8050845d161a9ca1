"""The walk that runs inside a sandbox, on a folder of ours."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from taor_sandbox import treewalk
from taor_sandbox.treewalk import UNREADABLE


def test_what_is_another_users_and_locked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text("x")
    Path("theirs").write_text("x")
    Path("their folder").mkdir()
    system_open, system_list = os.open, os.scandir

    def refuse(path: str, *_: object) -> NoReturn:
        raise PermissionError(path)

    def open_mine(path: str, flags: int) -> int:
        if "their" in path:
            refuse(path)
        return system_open(path, flags)

    def list_mine(path: str) -> object:
        if "their" in path:
            refuse(path)
        return system_list(path)

    monkeypatch.setattr(os, "open", open_mine)
    monkeypatch.setattr(os, "scandir", list_mine)
    monkeypatch.setattr(os, "chmod", refuse)
    rows = {row[0]: row[1] for row in treewalk.walk({})}
    assert rows == {"mine": "f", "theirs": UNREADABLE, "their folder": UNREADABLE}
