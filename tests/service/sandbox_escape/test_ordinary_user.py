"""The same two suites as an ordinary user: sandboxes then stand in user namespaces, and other walls do the work.

Only collected for root. An outer user namespace without any right makes an ordinary user of it, who reaches the same
files.
"""

import asyncio
import sys
from pathlib import Path

from taor_sandbox.backends.local.bwrap import find_bwrap

_SUITES = ("tests/contract/sandbox_backend", "tests/service/sandbox_escape")
_SECONDS = 240
# Who we are on this machine makes no difference to a sandbox elsewhere, and the full disk is an ordinary user's anyway.
_CHOSEN = ("-k", "not e2b and not full_disk")


async def test_both_suites_pass_as_an_ordinary_user(tmp_path: Path) -> None:
    ordinary = (str(find_bwrap()), "--unshare-user", "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/")
    pytest = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}")
    process = await asyncio.create_subprocess_exec(
        *ordinary, *pytest, *_CHOSEN, *_SUITES, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(_SECONDS):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b" passed" in said
    assert b"skipped" not in said
