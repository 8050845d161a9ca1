"""Helpers: un-journaled commands that read."""

import asyncio
import sys
import time
from pathlib import Path

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.tools.ports import Running, running
from tests.support.sandboxes import finish, start, until

_PYTHON = Path(sys.base_prefix).resolve() / "bin" / "python3"


async def test_a_helper_tells_outputs_and_status(sandbox: Sandbox) -> None:
    script = "cat; pwd; echo $WORD; echo err >&2; exit 3"
    done = await sandbox.run(["/bin/bash", "-c", script], stdin=b"in\0put\n", cwd="/tmp", env={"WORD": "word"})
    assert (done.status, done.stdout, done.stderr) == (3, b"in\0put\n/tmp\nword\n", b"err\n")
    assert not done.truncated
    assert not done.timed_out


async def test_ripgrep_and_python_are_there(sandbox: Sandbox) -> None:
    assert (await sandbox.run(["rg", "--version"])).stdout.startswith(b"ripgrep")
    assert (await sandbox.run(["python3", "-c", "import json, ssl, sqlite3; print(6 * 7)"])).stdout == b"42\n"


async def test_the_service_s_own_python_is_there_too(sandbox: Sandbox) -> None:
    """It may be the only one of the machine, and may stand where the sandbox's user could not go outside."""
    python = _PYTHON
    assert (await sandbox.run([str(python), "-c", "import ssl, sqlite3; print(6 * 7)"])).stdout == b"42\n"
    path = (await sandbox.run(["/bin/bash", "-c", "echo $PATH"])).stdout.decode().strip().split(":")
    assert str(python.parent) in path


async def test_an_unknown_program_is_said(sandbox: Sandbox) -> None:
    done = await sandbox.run(["no-such-program"])
    assert done.status == 127
    assert b"no-such-program: not found" in done.stderr


async def test_a_long_output_is_cut(sandbox: Sandbox) -> None:
    done = await sandbox.run(["yes"], output_bytes=5000)
    assert done.truncated
    assert done.stdout == b"y\n" * 2500


async def test_a_helper_that_takes_too_long_is_killed(sandbox: Sandbox) -> None:
    begun = time.monotonic()
    done = await sandbox.run(["/bin/bash", "-c", "echo begun; sleep 77 & wait"], timeout_seconds=0.2)
    assert (done.timed_out, done.stdout, done.status) == (True, b"begun\n", 137)
    assert time.monotonic() - begun < 5


async def test_a_caller_that_is_cancelled_takes_its_helper_along(sandbox: Sandbox) -> None:
    helper = asyncio.create_task(sandbox.run(["/bin/bash", "-c", "touch up; sleep 77; true"]))
    await until(sandbox, "[ -e up ]")
    helper.cancel()
    await asyncio.wait([helper])
    await until(sandbox, "! grep -qsx sleep /proc/[0-9]*/comm")


async def test_many_helpers_run_side_by_side(sandbox: Sandbox) -> None:
    done = await asyncio.gather(*(sandbox.run(["echo", str(number)]) for number in range(40)))
    assert [int(result.stdout) for result in done] == list(range(40))


async def test_the_ports_of_a_command_are_its_own(sandbox: Sandbox) -> None:
    serving = await start(sandbox, "exec python3 -m http.server 8123 --bind 127.0.0.1", background=True)
    found = await running(sandbox, serving)
    assert (len(found.processes), found.ports) == (1, [8123])
    done = await start(sandbox, "true")
    await finish(sandbox, done)
    assert await running(sandbox, done) == Running([], [])
