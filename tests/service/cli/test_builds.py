"""`taor build`, `watch`, `list`, `show`, `cancel` as processes, against the contract over a real socket."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.installation import free_base_port
from tests.support.recorded_orchestrator import TOKEN, RecordedOrchestrator, serving, story

RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str

    def documents(self) -> list[dict[str, object]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Installation:
    """The recorded orchestrator and where it answers."""

    recorded: RecordedOrchestrator
    address: str

    async def start(self, *arguments: str, token: str = TOKEN) -> asyncio.subprocess.Process:
        """Start `taor` with this installation as its target."""
        environment = {**os.environ, "TAOR_TARGET": self.address, "TAOR_TOKEN": token, "NO_COLOR": "1"}
        command = (sys.executable, "-m", "taor_cli", *arguments)
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)

    async def taor(self, *arguments: str, token: str = TOKEN) -> Run:
        """Run `taor` to its end."""
        return await finish(await self.start(*arguments, token=token))


async def finish(process: asyncio.subprocess.Process) -> Run:
    async with asyncio.timeout(RUN_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Run(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    recorded = RecordedOrchestrator()
    async with serving(recorded) as address:
        yield Installation(recorded, address)


@pytest.fixture
def brief(tmp_path: Path) -> str:
    path = tmp_path / "shop.md"
    path.write_text("A shop for bread.")
    return str(path)


async def test_a_build_is_started_with_all_that_was_given(
    installation: Installation, brief: str, tmp_path: Path
) -> None:
    qna, plan = tmp_path / "qna.md", tmp_path / "plan.md"
    qna.write_text("# Questions\n\nQ: Who?\nA: You.\n\nQ: When?\nA: Now.\nAnd later.\n")
    plan.write_text("First the bread.")
    files = ("--brief", brief, "--qna", str(qna), "--plan", str(plan))
    run = await installation.taor("build", *files, "--tier", "cto_scale", "--no-follow", "--json")
    (build_id,) = installation.recorded.started
    request = installation.recorded.started[build_id]
    assert run.code == 0, run.err
    assert run.documents()[0]["build_id"] == build_id
    assert (request.brief, request.plan, request.project_id) == ("A shop for bread.", "First the bread.", "shop")
    assert (request.tier, request.user_id) == ("cto_scale", "me")
    assert [(it.question, it.answer) for it in request.clarifications] == [
        ("Who?", "You."),
        ("When?", "Now.\nAnd later."),
    ]


async def test_a_request_id_makes_the_command_repeatable(installation: Installation, brief: str) -> None:
    again = ("build", "--brief", brief, "--request-id", "order-7", "--no-follow")
    first, second = await installation.taor(*again), await installation.taor(*again)
    other = await installation.taor(*again, "--project", "other")
    assert first.out == second.out
    assert other.code == 4
    assert "REQUEST_ID_CONFLICT" in other.err


async def test_the_first_line_of_a_followed_build_comes_at_once_and_the_rest_as_it_happens(
    installation: Installation, brief: str
) -> None:
    process = await installation.start("build", "--brief", brief)
    assert process.stdout is not None
    async with asyncio.timeout(RUN_SECONDS):
        first = (await process.stdout.readline()).decode()  # nothing has happened to it yet
    assert first.startswith("build 0198f3a1")
    await installation.recorded.add("0198f3a1-0000-7000-8000-000000000001", *story())
    run = await finish(process)
    assert run.code == 0, run.err
    assert "✓ succeeded: The shop runs." in run.out
    assert "✗ bash failed" in run.out
    assert "\x1b" not in run.out
    assert "\x07" not in run.out


async def test_a_watch_survives_a_broken_stream_without_gap_or_duplicate(installation: Installation) -> None:
    build = installation.recorded.new_build()
    await installation.recorded.add(build.build_id, *story())
    installation.recorded.break_after = 3
    run = await installation.taor("watch", "latest", "--json")
    assert run.code == 0, run.err
    assert [document["sequence"] for document in run.documents()] == list(range(1, 9))
    assert installation.recorded.watched_after == [0, 3]


async def test_a_watch_survives_a_server_that_is_restarted(tmp_path: Path) -> None:
    recorded = RecordedOrchestrator()
    build = recorded.new_build()
    first, *rest = story()
    # No port of those that the kernel hands out: somebody else could have it before the second server does.
    async with serving(recorded, listen=f"127.0.0.1:{free_base_port()}") as address:
        await recorded.add(build.build_id, first)
        process = await Installation(recorded, address).start("watch", build.build_id, "--json")
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["sequence"] == 1
    await recorded.add(build.build_id, *rest)
    async with serving(recorded, listen=address):
        run = await finish(process)
    assert run.code == 0, run.err
    assert [document["sequence"] for document in run.documents()] == list(range(2, 9))


async def test_a_watch_of_a_failed_build_exits_with_1_and_says_why(installation: Installation) -> None:
    build = installation.recorded.new_build()
    events = story()
    events[-1].ended.state = type(build).FAILED
    events[-1].ended.message = "The tests never passed."
    await installation.recorded.add(build.build_id, *events)
    run = await installation.taor("watch")
    assert run.code == 1
    assert "The tests never passed." in run.err


async def test_a_watch_after_the_last_event_of_an_ended_build_ends(installation: Installation) -> None:
    build = installation.recorded.new_build()
    await installation.recorded.add(build.build_id, *story())
    run = await installation.taor("watch", "--after", "7", "--json")
    assert [document["kind"] for document in run.documents()] == ["ended"]


async def test_ctrl_c_detaches_and_says_how_to_come_back(installation: Installation) -> None:
    build = installation.recorded.new_build()
    await installation.recorded.add(build.build_id, story()[0])
    process = await installation.start("watch")
    assert process.stdout is not None
    await process.stdout.readline()
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    run = await finish(process)
    assert run.code == 130
    assert f"taor watch {build.build_id}" in run.err
    assert "Traceback" not in run.err


async def test_builds_are_listed_over_all_pages_newest_first(installation: Installation) -> None:
    ids = [installation.recorded.new_build().build_id for _ in range(5)]
    run = await installation.taor("list", "--json")
    (document,) = run.documents()
    builds = document["builds"]
    assert isinstance(builds, list)
    assert [build["build_id"] for build in builds] == ids[::-1]
    limited = await installation.taor("list", "--limit", "3")
    assert limited.out.count("QUEUED") == 3


async def test_a_build_is_found_by_a_unique_beginning_of_its_id(installation: Installation) -> None:
    first, second = installation.recorded.new_build(), installation.recorded.new_build()
    shown = await installation.taor("show", "0198F3A2", "--json")
    assert shown.documents()[0]["build_id"] == second.build_id
    ambiguous = await installation.taor("show", "0198")
    assert ambiguous.code == 2
    assert first.build_id in ambiguous.err
    unknown = await installation.taor("show", "ffff")
    assert unknown.code == 2
    assert "taor list" in unknown.err


async def test_a_build_is_cancelled(installation: Installation) -> None:
    build = installation.recorded.new_build()
    run = await installation.taor("cancel", "latest", "--json")
    assert run.documents()[0]["state"] == "CANCELLED"
    assert installation.recorded.builds[build.build_id].state == type(build).CANCELLED


@pytest.mark.parametrize(
    ("arguments", "token", "code", "words"),
    [
        (("show", "0198f3a1-0000-7000-8000-00000000dead"), TOKEN, 4, "BUILD_NOT_FOUND"),
        (("list",), "wrong", 4, "TOKEN_INVALID"),
        (("show",), TOKEN, 2, "there is no build yet"),
        (("list", "--target", "127.0.0.1:1"), TOKEN, 3, "nothing answers"),
        (("list", "--target", "nonsense"), TOKEN, 2, "HOST:PORT"),
    ],
)
async def test_an_error_is_one_line_with_its_reason_and_an_exit_code(
    installation: Installation, arguments: tuple[str, ...], token: str, code: int, words: str
) -> None:
    run = await installation.taor(*arguments, token=token)
    assert run.code == code
    assert words in run.err
    assert "Traceback" not in run.err


async def test_an_error_is_json_where_json_was_asked_for(installation: Installation) -> None:
    run = await installation.taor("list", "--json", token="wrong")
    error = json.loads(run.err)["error"]
    assert (error["reason"], error["exit_code"]) == ("TOKEN_INVALID", 4)
    assert run.out == ""


async def test_a_bad_file_of_answers_is_told_with_its_line(
    installation: Installation, brief: str, tmp_path: Path
) -> None:
    qna = tmp_path / "qna.md"
    qna.write_text("Q: Who?\n\nQ: When?\nA: Now.\n")
    run = await installation.taor("build", "--brief", brief, "--qna", str(qna))
    assert run.code == 2
    assert "qna.md:3: expected 'A:'" in run.err
    assert not installation.recorded.started


async def test_a_folder_that_is_taken_is_told_before_the_demo_begins(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("of somebody")
    run = await installation.taor("demo", "-o", str(tmp_path))
    assert run.code == 2
    assert "not an empty folder" in run.err
    assert not installation.recorded.started


async def test_an_empty_list_says_how_to_begin(installation: Installation) -> None:
    run = await installation.taor("list")
    assert (run.code, run.out) == (0, "no builds; start one with `taor demo` or `taor build`\n")
