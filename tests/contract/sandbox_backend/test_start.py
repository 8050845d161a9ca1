"""Where sandboxes cannot be had, the service does not start, and says what to do."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.local import selftest
from taor_sandbox.backends.local.bwrap import Launcher, Variant, find_bwrap
from taor_sandbox.backends.local.folder import Shelf

_OPEN = """
import asyncio, sys
from pathlib import Path
from taor_sandbox.backends.local.backend import open_backend
asyncio.run(open_backend(Path(sys.argv[1])))
"""


async def test_without_user_namespaces_the_remedy_is_named(tmp_path: Path) -> None:
    """For real: in a sandbox where the kernel gives no further ones."""
    walled = ("--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/")
    process = await asyncio.create_subprocess_exec(
        *(str(find_bwrap()), *walled, sys.executable, "-c", _OPEN, str(tmp_path)), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode != 0
    assert b"BackendUnavailable: the sandbox did not start" in said
    assert b"ser namespace" in said.partition(b"did not start")[2]


async def test_a_bubblewrap_that_fails_is_quoted_and_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permission' >&2\nexit 1\n")
    broken.chmod(0o755)
    shelf = Shelf(tmp_path / "root")
    launcher = Launcher(broken, Variant.ROOT, tmp_path, ownerless_seconds=1.0)
    with pytest.raises(BackendUnavailable, match=r"(?s)no permission.*CAP_SYS_ADMIN"):
        await selftest.check(shelf, launcher, os.getuid())
    assert shelf.folders() == []
