"""A build is rewound: forked at an earlier turn, with other words or another model, and compared with its origin."""

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from taor_cli.audit.gather import gather
from taor_cli.audit.replay import replay
from taor_cli.audit.report import Verdict, audit
from taor_cli.builds import Build, BuildState
from taor_cli.clients import Clients, connect
from taor_cli.endpoints import Endpoints, Wanted, resolve
from taor_cli.orchestrator import Orchestrator, Order
from taor_cli.results import download
from taor_local.options import Options
from taor_orchestrator.loop import GAVE_UP, MAX_FRUITLESS_CLAIMS
from tests.support.command import taor
from tests.support.gate import Gate
from tests.support.installation import database_dsn, process_of
from tests.support.waiting import wait_until

LINES = "first\nsecond\nthird\n"
REQUEST = str(uuid.uuid4())
END_SECONDS = 60.0
# As after so many take-overs in vain, of which one more comes at once.
TAKE_OVER_FOR_THE_LAST_TIME = f"""
    UPDATE builds SET fruitless_claims = {MAX_FRUITLESS_CLAIMS - 1}, claimed_at_sequence = projected_sequence,
                      lease_until = taor_now()
    WHERE build_id = $1"""


@pytest.fixture
async def clients(installation: Options) -> AsyncIterator[Clients]:
    """The services of the installation."""
    async with connect(_endpoints(installation)) as clients:
        yield clients


@pytest.fixture
async def origin(clients: Clients) -> Build:
    """The build of the script, ended, the same for every test."""
    order = Order(REQUEST, "me", "rewind", "partner", "Write a log.\n\ntaor-script: rewind\n", (), "")
    return await _ended(clients, (await Orchestrator(clients.orchestrator).start(order)).build_id)


async def test_a_fork_goes_on_from_a_turn_with_its_files_and_leaves_the_origin_alone(
    installation: Options, clients: Clients, origin: Build, tmp_path: Path
) -> None:
    forked = await _taor(installation, "fork", origin.build_id, "--at", "2", "--instruction", "Mind it.", "--json")
    events = [json.loads(line) for line in forked.splitlines()]
    assert [each["kind"] for each in events[:2]] == ["forked", "state_changed"]
    assert [each["turn_taken"]["turn"] for each in events if each["kind"] == "turn_taken"] == [3, 4, 5]
    fork = await _latest(clients)
    assert (fork.origin_build_id, fork.origin_turn, fork.turns) == (origin.build_id, 2, 3)
    assert 0 < fork.spent_microdollars < origin.spent_microdollars
    for each in (origin, fork):
        assert await _log(clients, each, tmp_path / each.build_id) == LINES
        await _hold_to_account(installation, clients, each)

    same = await _taor(installation, "diff", origin.build_id, "4", "5", "--with", fork.build_id)
    assert same.strip() == "no file differs"
    differs = json.loads(await _taor(installation, "diff", fork.build_id, "1", "4", "--json"))["changes"]
    assert [(each["path"], each["kind"]) for each in differs] == [
        *(("colour", "CHANGED"), ("made", "ADDED"), ("notes/log", "CHANGED"))
    ]
    assert "+second" in differs[2]["text_diff"]


async def test_another_model_goes_on_in_a_segment_of_its_own(
    installation: Options, clients: Clients, origin: Build, tmp_path: Path
) -> None:
    arguments = ("--at", "1", "--model", "claude-haiku-5-5", "--no-follow")
    build_id = (await _taor(installation, "fork", origin.build_id, *arguments)).strip()
    fork = await _ended(clients, build_id)  # the script begins anew, for no message of it was inherited
    assert (fork.model, fork.state) == ("claude-haiku-5-5", BuildState.SUCCEEDED)
    assert await _log(clients, fork, tmp_path / "files") == "first\n"
    nested = tmp_path / "files" / "notes" / "notes" / "log"
    assert nested.read_text() == LINES, "its first command starts where the last one of the origin ended"
    await _hold_to_account(installation, clients, fork)


async def test_a_turn_that_is_not_kept_is_refused_or_made_again(
    installation: Options, clients: Clients, origin: Build, tmp_path: Path
) -> None:
    turns = json.loads(await _taor(installation, "turns", origin.build_id, "--json"))["turns"]
    # Of the third turn there is no snapshot, unless it took the machine half a minute to come there.
    assert [each["kept"] for each in turns if each["turn"] != 3] == [True] * 4
    refused = await asyncio.to_thread(taor, installation, "fork", origin.build_id, "--at", "9")
    assert (refused.status, "TURN_NOT_KEPT" in refused.err, "--redo" in refused.err) == (4, True, True), refused.err
    assert "1–2" in refused.err
    build_id = (await _taor(installation, "fork", origin.build_id, "--at", "3", "--redo", "--no-follow")).strip()
    fork = await _ended(clients, build_id)
    assert fork.state is BuildState.SUCCEEDED
    assert await _log(clients, fork, tmp_path / "files") == LINES
    await _hold_to_account(installation, clients, fork)


async def test_a_build_that_was_given_up_in_a_command_goes_on_from_there_in_a_fork(
    installation: Options, clients: Clients
) -> None:
    orchestrator = Orchestrator(clients.orchestrator)
    order = Order(str(uuid.uuid4()), "me", "stuck", "partner", "Wait.\n\ntaor-script: stuck\n", (), "")
    build = await orchestrator.start(order)
    await asyncio.to_thread(Gate(installation, build.build_id, "1").wait_until_reached)
    await asyncio.to_thread(_wait_for, installation, build, tool_calls=2)  # what is projected later is a step forward
    os.kill(process_of(installation, "orchestrator").pid, signal.SIGKILL)
    connection = await asyncpg.connect(database_dsn(installation, "taor_orchestrator"))
    await connection.execute(TAKE_OVER_FOR_THE_LAST_TIME, uuid.UUID(build.build_id))
    await connection.close()
    await asyncio.to_thread(_wait_for, installation, build, state="FAILED")
    given_up = await _ended(clients, build.build_id)
    assert (given_up.state, given_up.outcome_message) == (BuildState.FAILED, GAVE_UP)
    await _hold_to_account(installation, clients, given_up)

    build_id = (await _taor(installation, "fork", build.build_id, "--at", "1", "--no-follow")).strip()
    fork = await _ended(clients, build_id)
    assert fork.state is BuildState.SUCCEEDED, fork.outcome_message
    await _hold_to_account(installation, clients, fork)


async def _ended(clients: Clients, build_id: str) -> Build:
    """The build at its end; a question on the way is answered."""
    orchestrator = Orchestrator(clients.orchestrator)
    async with asyncio.timeout(END_SECONDS):
        while not (build := await orchestrator.get(build_id)).state.is_ended:
            if build.state is BuildState.WAITING_ANSWER and build.question:
                await orchestrator.answer(build_id, f"yes-{build_id}", "Yes.")
            await asyncio.sleep(0.05)
    return build


def _wait_for(installation: Options, build: Build, **wanted: object) -> None:
    """Until the build is shown so, also by an orchestrator that has to come back first."""

    def is_so() -> bool:
        said = taor(installation, "show", build.build_id, "--json")
        return said.status == 0 and wanted.items() <= said.document.items()

    wait_until(is_so, f"{wanted} of {build.build_id}", timeout_seconds=END_SECONDS)


async def _latest(clients: Clients) -> Build:
    orchestrator = Orchestrator(clients.orchestrator)
    return await orchestrator.get(await orchestrator.find("latest"))


async def _log(clients: Clients, build: Build, folder: Path) -> str:
    await download(clients, build.build_id, folder)
    return (folder / "notes" / "log").read_text()


async def _hold_to_account(installation: Options, clients: Clients, build: Build) -> None:
    """Nothing is found by the audit, and every turn is as the log gives it."""
    evidence = await gather(clients, build, _endpoints(installation).model_record)
    assert [line for line in audit(evidence) if line.verdict is Verdict.BROKEN] == []
    assert [turn.findings for turn in replay(evidence) if turn.findings] == []


def _endpoints(installation: Options) -> Endpoints:
    return resolve(Wanted(data=installation.data))


async def _taor(installation: Options, *arguments: str) -> str:
    """What the command says; it must succeed."""
    said = await asyncio.to_thread(taor, installation, *arguments)
    assert said.status == 0, said.out + said.err
    return said.out
