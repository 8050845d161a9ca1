"""`taor answer`, `steer`, `pause`, `resume` as processes, against the contract over a real socket."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from tests.service.cli.test_builds import Installation, finish
from tests.support.recorded_orchestrator import TOKEN, RecordedOrchestrator, serving

ASKED = pb.Escalation(question="Which colour?", tried="Both.", options=["red", "blue"], recommendation="red")


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    recorded = RecordedOrchestrator()
    recorded.new_build().question.CopyFrom(ASKED)
    async with serving(recorded) as address:
        yield Installation(recorded, address)


async def test_a_question_is_shown_and_answered_once(installation: Installation) -> None:
    shown = await installation.taor("show", "latest")
    assert "? Which colour?" in shown.out
    assert "  2. blue" in shown.out
    [document] = (await installation.taor("show", "latest", "--json")).documents()
    asked = {"question": "Which colour?", "tried": "Both.", "options": ["red", "blue"], "recommendation": "red"}
    assert document["question"] == asked
    assert (await installation.taor("answer", "latest", "Green.")).code == 0
    again = await installation.taor("answer", "latest", "Blue.")
    assert again.code == 4
    assert "taor steer" in again.err
    assert installation.recorded.told == [("answer", "Green.")]


async def test_a_text_may_come_from_standard_input(installation: Installation) -> None:
    environment = {**os.environ, "TAOR_TARGET": installation.address, "TAOR_TOKEN": TOKEN}
    read, write = os.pipe()
    os.write(write, "Also say „goodbye“.\n".encode())
    os.close(write)
    process = await _start(environment, read)
    assert (await finish(process)).code == 0
    assert installation.recorded.told == [("steer", "Also say „goodbye“.\n")]


async def test_a_build_is_paused_and_resumed(installation: Installation) -> None:
    paused = await installation.taor("pause", "latest", "--json")
    assert paused.documents()[0]["state"] == "PAUSED"
    resumed = await installation.taor("resume", "latest")
    assert "goes on" in resumed.out
    missing = await installation.taor("pause", "0198f3a1-0000-7000-8000-00000000ffff")
    assert missing.code == 4


async def _start(environment: dict[str, str], stdin: int) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "taor_cli", "steer", "latest", "-")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=pipe, stderr=pipe, env=environment)
    os.close(stdin)
    return process
