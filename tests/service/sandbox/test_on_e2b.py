"""The service on E2B: the same promises, over the real SDK and E2B's wire."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_e2b_simulator.faults import Fault, FaultKind
from taor_e2b_simulator.simulator import Simulator
from taor_sandbox.app import running_backend
from taor_sandbox.backends.e2b.inside.layout import JOURNAL
from taor_sandbox.backends.port import SandboxStatus
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness
from tests.service.sandbox.test_archives import cloned, git, members
from tests.service.sandbox.test_preview import SERVER, ask, serve


@pytest.fixture
async def harness(e2b_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A running service with one build."""
    async with running_backend(e2b_config) as backend:
        harness = Harness(e2b_config, backend)
        await harness.start()
        yield harness
        await harness.stop()


async def lose(harness: Harness) -> None:
    """Let every sandbox vanish, as 1 to 3 in a hundred do at E2B."""
    await harness.destroy_sandboxes()


async def test_a_project_that_its_owner_has_locked_goes_on(harness: Harness, tmp_path: Path) -> None:
    await harness.attach()
    await harness.write(1, "f", "x\n")
    await harness.bash(2, "mkdir dark; echo > dark/f; chmod 000 dark f /workspace")
    assert (await harness.snapshot()).file_count == 2
    await harness.bash(3, "chmod 000 /workspace")
    assert len(members(await harness.download(pb.DownloadFilesRequest.ZIP))) == 3
    await harness.bash(4, "chmod 000 ~")
    assert await git("ls-files", cwd=await cloned(harness, tmp_path, "files")) == "dark/f\nf\n"
    assert (await harness.bash(5, "stat -c %a f dark")).text == "0\n0\n"
    assert (await harness.bash(6, f"ls {JOURNAL}/claims | grep archive")).exit_status == 1, "nothing stays inside"


async def test_calls_run_once_also_when_answers_are_lost(harness: Harness, simulator: Simulator) -> None:
    await harness.attach()
    await harness.write(1, "greeting.txt", "hello\n")
    simulator.faults.arm(Fault(FaultKind.LOST_ANSWER, "/process.Process/Start", skip=1, times=2))
    command = "cat greeting.txt; echo x >> count"
    first = await harness.bash(2, command)
    assert first.text.startswith("hello")
    assert (await harness.bash(2, command)).text == first.text
    assert (await harness.bash(3, "cat count")).text.startswith("x\n")
    assert [operation.state for operation in await harness.operations()] == [pb.Operation.DONE] * 3


async def test_a_preview_has_one_shape_here_too(harness: Harness) -> None:
    url = await serve(harness, SERVER)
    assert re.fullmatch(r"http://[a-z2-7]{61}\.localhost:[0-9]+/", url)
    answer = await ask(url, path="/page", headers=f"Origin: {url.rstrip('/')}\r\n")
    assert answer.endswith("/page localhost:8000 http://localhost:8000")
    await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    assert "sleeps" in await ask(url)


async def test_four_dispatches_at_once_run_once(harness: Harness) -> None:
    await harness.attach()
    request = harness.request(1, bash=pb.Bash(command="echo x >> count; sleep 0.2; cat count"))
    results = await asyncio.gather(*(harness.run(request) for _ in range(4)))
    assert {result.text for result in results} == {"x\n"}


async def test_a_command_is_followed_to_its_end_by_the_service_that_comes_next(harness: Harness) -> None:
    await harness.attach()
    command = "echo begun; echo x >> count; until [ -e go ]; do sleep 0.02; done; cat count"
    (await harness.begin(1, command)).detach()
    await harness.restart()
    harness.take_over()
    attached = await harness.attach(tail_sequence=1)
    assert [each.state for each in attached.operations] == [pb.Operation.STARTING]
    following = await harness.begin(1, command)
    (listing,) = await harness.backend.list()
    sandbox = await harness.backend.attach(listing.provider_id)
    assert (await sandbox.run(["touch", "go"])).status == 0
    await sandbox.close()
    assert (await following.result()).text == "begun\nx\n"
    assert harness.generation == 1


async def test_a_sandbox_that_vanishes_comes_back_with_its_files(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "kept.txt", "kept\n")
    await harness.snapshot()
    await harness.bash(2, "echo later > redone.txt")
    await lose(harness)
    await harness.attach(tail_sequence=2)
    assert harness.generation == 2
    listing = await harness.until_attached(lambda: harness.bash(3, "cat kept.txt redone.txt"))
    assert listing.text.startswith("kept\nlater\n")


async def test_what_e2b_pauses_when_its_time_is_over_is_neither_lost_nor_repeated(
    harness: Harness, simulator: Simulator
) -> None:
    """No sandbox there lives longer than a day at once, however often it is asked for more."""
    await harness.attach()
    command = "echo on; sleep 1; echo x >> count; cat count"
    following = await harness.begin(1, command)
    (held,) = list(simulator.shelf)
    simulator.shelf.end_in(held, 0.0)
    await harness.until(harness.backend.list, lambda listed: listed[0].status is SandboxStatus.PAUSED)
    following.detach()
    await harness.attach()
    assert (await harness.until_attached(lambda: harness.bash(1, command))).text.startswith("on\nx\n")
    assert (await harness.until_attached(lambda: harness.bash(2, "cat count"))).text.startswith("x\n")


async def test_a_sandbox_sleeps_and_wakes_with_its_files(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "kept.txt", "kept\n")
    await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    harness.take_over()
    await harness.attach(tail_sequence=1)
    listing = await harness.until_attached(lambda: harness.bash(2, "cat kept.txt"))
    assert listing.text.startswith("kept\n")


async def test_a_pause_that_brings_back_older_files_is_found_out(harness: Harness, simulator: Simulator) -> None:
    """Their journal comes back with them, so that only the files themselves can tell."""
    await sleep_and_write_again(harness)
    simulator.faults.arm(Fault(FaultKind.LOST_CHANGES, "/pause"))
    await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    await assert_that_nothing_is_missing(harness)


async def test_a_time_out_that_brings_back_older_files_is_found_out(harness: Harness, simulator: Simulator) -> None:
    """Nobody has noted what the files were; that the journal lacks the newest claim tells."""
    await sleep_and_write_again(harness)
    simulator.faults.arm(Fault(FaultKind.LOST_CHANGES, "/pause"))
    (held,) = simulator.shelf
    await simulator.shelf.pause(held, memory=True)
    await assert_that_nothing_is_missing(harness)


async def sleep_and_write_again(harness: Harness) -> None:
    """Files of before a sleep, to which a later loss falls back, and some of after it."""
    await harness.attach()
    await harness.write(1, "early.txt", "early\n")
    await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    harness.take_over()
    await harness.attach(tail_sequence=1)
    await harness.write(2, "late.txt", "late\n")
    assert harness.generation == 1


async def assert_that_nothing_is_missing(harness: Harness) -> None:
    harness.take_over()
    await harness.attach(tail_sequence=2)
    listing = await harness.until_attached(lambda: harness.bash(3, "cat early.txt late.txt"))
    assert listing.text.startswith("early\nlate\n")
    assert harness.generation == 2


async def test_files_are_restored_at_the_other_backend(
    sandbox_config: SandboxConfig, e2b_config: SandboxConfig
) -> None:
    """Snapshots belong to no backend: from home to E2B, and back."""
    build_id = await _leave_a_snapshot(
        sandbox_config, "mkdir -p a/b; echo deep > a/b/file; ln -s a/b/file link; chmod 750 a"
    )
    build_id = await _leave_a_snapshot(e2b_config, "cat link > more; stat -c %a a >> more", build_id)
    await _leave_a_snapshot(sandbox_config, "cat link more", build_id, says="deep\ndeep\n750\n")


async def _leave_a_snapshot(config: SandboxConfig, command: str, build_id: str = "", says: str | None = None) -> str:
    """Go on with a build on a backend, and lose the sandbox after a snapshot; returns the build."""
    async with running_backend(config) as backend:
        harness = Harness(config, backend)
        await harness.start()
        harness.build_id = build_id or harness.build_id
        harness.epoch = 1 + len(await harness.operations()) if build_id else 1
        harness.owner = f"boot-{harness.epoch}"
        await harness.attach(tail_sequence=harness.epoch - 1)
        said = await harness.until_attached(lambda: harness.bash(harness.epoch, command))
        assert not said.HasField("failure"), said.text
        assert says is None or said.text == says
        assert (await harness.snapshot()).covers_log_sequence == harness.epoch
        await harness.stop()
        await harness.destroy_sandboxes()
    return harness.build_id
