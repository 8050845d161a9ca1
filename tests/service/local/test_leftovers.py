"""What a killed supervisor leaves behind is found and ended; what merely looks alike is not."""

import signal
import subprocess
import sys
from pathlib import Path

from taor_local.folders import Folders
from taor_local.leftovers import end_parts, end_sandboxes
from taor_local.processes import ProcessId
from taor_local.state import PartState, Phase, State, write_state


def test_a_recorded_part_is_ended(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.make()
    with subprocess.Popen(["sleep", "60"]) as part:
        write_state(folders.state, State(Phase.UP, "up", None, (PartState("first", ProcessId.of(part.pid), True, 0),)))
        assert end_parts(folders)
    assert part.returncode == -signal.SIGKILL


def test_a_later_process_with_the_same_number_is_spared(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.make()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        earlier = ProcessId(stranger.pid, start_ticks=1)
        write_state(folders.state, State(Phase.UP, "up", None, (PartState("first", earlier, True, 0),)))
        assert not end_parts(folders)
        assert stranger.poll() is None
        stranger.kill()


def test_a_sandbox_is_found_by_its_folder(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.make()
    workspace = folders.sandboxes / "build" / "1" / "workspace"
    bubblewrap = tmp_path / "bwrap"
    bubblewrap.symlink_to(sys.executable)
    sleeping = "import time; time.sleep(60)"
    with (
        subprocess.Popen([bubblewrap, "-c", sleeping, "--bind", workspace]) as sandbox,
        subprocess.Popen([sys.executable, "-c", sleeping, workspace]) as reader,
    ):
        assert not end_parts(folders), "a new service finds a sandbox again"
        assert end_sandboxes(folders)
        assert reader.poll() is None
        reader.kill()
    assert sandbox.returncode == -signal.SIGKILL
