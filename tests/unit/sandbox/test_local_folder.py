"""A local sandbox's folder that was destroyed by somebody else is a sandbox that is gone, and no error of our own."""

from pathlib import Path

import pytest

from taor_sandbox.backends.errors import SandboxGone
from taor_sandbox.backends.local.folder import Folder


def test_who_reaches_for_the_lock_of_a_folder_that_is_gone_learns_just_that(tmp_path: Path) -> None:
    with pytest.raises(SandboxGone):
        Folder(tmp_path / "build" / "1").try_lock()
