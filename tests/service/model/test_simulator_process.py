"""The scripted model as a program: it serves, and it ends when it is told to."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp
import pytest

from tests.support.scripted_model import HEADERS

OPENING = {"role": "user", "content": "taor-script: synthetic turns=2 pace_ms=30000"}


async def start(folder: Path) -> tuple[Process, str]:
    arguments = ("--listen", "127.0.0.1:0", "--record", str(folder / "billed.jsonl"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taor_model_simulator", *arguments, stderr=PIPE
    )
    assert process.stderr is not None
    said = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
    found = re.search(r"http://\S+", said)
    assert found, said
    return process, found[0]


async def test_it_serves_until_sigterm_even_while_an_answer_is_open(tmp_path: Path) -> None:
    process, url = await start(tmp_path)
    try:
        async with aiohttp.ClientSession(headers=HEADERS) as http:
            async with http.get(f"{url}/health") as answer:
                assert answer.status == 200
            body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [OPENING]}
            async with http.post(f"{url}/v1/messages", json=body) as answer:
                assert b"message_start" in await answer.content.readline()
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 20) == 0
                with pytest.raises(aiohttp.ClientError):
                    await answer.read()
        assert len((tmp_path / "billed.jsonl").read_bytes().splitlines()) == 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
