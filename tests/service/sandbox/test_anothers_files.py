"""What another user has locked: no archive can hold it, and each says so.

Only collected for root, since nobody else can give a file away. A sandbox of root's has such files when root has put
them there; one at E2B, where commands may become root, makes them by itself.
"""

import logging
import os
from pathlib import Path

import pytest

from tests.service.sandbox.harness import Harness
from tests.service.sandbox.test_archives import cloned, git


async def test_what_another_user_has_locked_is_named_in_a_bundle(
    harness: Harness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.attach()
    await harness.bash(
        1, "echo a > mine; chmod 000 mine; mkdir theirs; echo b > 'their*'; echo c > theirs/c; echo d > their"
    )
    workspace = harness.config.data / harness.build_id / str(harness.generation) / "workspace"
    for name in ("theirs", "their*"):
        os.chown(workspace / name, 0, 0)
        (workspace / name).chmod(0o600)
    with caplog.at_level(logging.ERROR):
        clone = await cloned(harness, tmp_path, "files")
    assert sorted(path.name for path in clone.iterdir()) == [".git", "mine", "their"]
    said = await git("log", "--format=%B", cwd=clone)
    assert said == "The files of the build\n\nLeft out, locked by another user:\n  'their*'\n  'theirs'\n\n"
    assert "2 paths are left out" in caplog.text
