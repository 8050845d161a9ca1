"""The simulator as a program: it serves, takes faults from outside, and leaves nothing running."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest
from e2b import AsyncSandbox
from e2b.connection_config import ApiParams
from e2b.exceptions import ServiceBusyException

from taor_e2b_simulator.simulator import API_KEY
from tests.support.waiting import wait_until


async def test_it_serves_until_sigterm_and_takes_its_sandboxes_along(tmp_path: Path) -> None:
    arguments = ("--listen", "127.0.0.1:0", "--root", str(tmp_path))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "taor_e2b_simulator", *arguments, stderr=PIPE)
    try:
        assert process.stderr is not None
        said = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
        found = re.search(r"http://[^;\s]+", said)
        assert found, said
        options = ApiParams(api_key=API_KEY, api_url=found[0], sandbox_url=found[0], retries=0)
        sandbox = await AsyncSandbox.create(timeout=300, **options)
        seconds = f"4711.{os.getpid()}"  # nobody else sleeps as long
        await sandbox.commands.run(f"exec sleep {seconds}", background=True)
        wait_until(lambda: _runs(f"sleep\0{seconds}"), "the command runs")
        await _faults(found[0])
        with pytest.raises(ServiceBusyException):
            await AsyncSandbox.create(**options)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
        wait_until(lambda: not _runs(f"sleep\0{seconds}"), "the command is gone")
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing waits
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _faults(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/simulator/faults", json={"kind": "no_such_fault"}) as answer:
            assert answer.status == 400
        async with http.post(f"{url}/simulator/faults", json={"kind": "slow", "seconds": 60}) as answer:
            assert answer.status == 204
        async with http.delete(f"{url}/simulator/faults") as answer:
            assert answer.status == 204
        async with http.post(f"{url}/simulator/faults", json={"kind": "busy", "path": "/v2/sandboxes"}) as answer:
            assert answer.status == 204


def _runs(command: str) -> bool:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text().rstrip("\0"))
        except OSError:
            continue
    return command in lines
