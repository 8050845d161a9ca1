"""What a supervisor says about itself is read back; what cannot be read is as if nothing had been said."""

from pathlib import Path

import pytest

from taor_local.processes import ProcessId
from taor_local.state import PartState, Phase, State, read_state, write_state


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    part = PartState("first", ProcessId(4711, 12), ready=False, restarts=3)
    said = State(Phase.FAILED, "the port is taken", ProcessId(1, 2), (part,), "/an/environment")
    write_state(tmp_path / "state", said)
    assert read_state(tmp_path / "state") == said


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"phase": "unheard of"}', '{"phase": "up", "message": "up"}'])
def test_what_another_version_or_a_crash_has_left_is_no_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "state").write_text(text)
    assert read_state(tmp_path / "state").phase is Phase.DOWN


def test_below_a_file_nothing_was_started(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_state(tmp_path / "file" / "run" / "state").phase is Phase.DOWN
