"""Before E2B ends the life of a sandbox, a quiet moment is taken to begin a new one."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_e2b_simulator.faults import Fault, FaultKind
from taor_e2b_simulator.sandbox import Sandbox, State
from taor_e2b_simulator.simulator import Simulator
from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness

NEARLY_A_DAY = dt.timedelta(hours=23, minutes=55)


@pytest.fixture
async def harness(e2b_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A running service at E2B with one build and a file in it."""
    async with running_backend(e2b_config) as backend:
        harness = Harness(e2b_config, backend)
        await harness.start()
        await harness.attach()
        await harness.write(1, "f", "x\n")
        yield harness
        await harness.stop()


def aged(simulator: Simulator) -> tuple[Sandbox, dt.datetime]:
    """The only sandbox, which has run for nearly as long as it may, and when it was started."""
    (held,) = simulator.shelf
    held.started_at -= NEARLY_A_DAY
    return held, held.started_at


async def test_the_service_renews_a_life_between_two_calls(harness: Harness, simulator: Simulator) -> None:
    """Nobody has to attach again."""
    held, started_at = aged(simulator)
    harness.config = replace(harness.config, round_seconds=0.02)
    await harness.restart()
    await harness.until(lambda: asyncio.sleep(0, held.started_at), lambda found: found > started_at)
    assert (await harness.bash(2, "cat f; echo y >> f")).text == "x\n"
    assert (await harness.bash(3, "cat f")).text == "x\ny\n"
    assert held.ends_at < held.started_at + dt.timedelta(hours=1), "kept alive as before"
    assert [(each.generation, each.claims) for each in await harness.operations()] == [(1, 1)] * 3


async def test_an_attach_meanwhile_waits_and_takes_nothing_for_lost(harness: Harness, simulator: Simulator) -> None:
    held, started_at = aged(simulator)
    simulator.faults.arm(Fault(FaultKind.SLOW, "/pause", seconds=1.0))
    harness.config = replace(harness.config, round_seconds=0.02)
    await harness.restart()
    await harness.until(lambda: asyncio.sleep(0, held.state), lambda found: found is State.PAUSED)
    await harness.attach(tail_sequence=1)
    assert held.started_at > started_at
    assert (await harness.bash(2, "cat f")).text == "x\n"
    assert harness.generation == 1


async def test_a_provider_that_gives_no_new_life_is_asked_once(harness: Harness, simulator: Simulator) -> None:
    """Every round would send the sandbox to sleep, else."""
    await harness.stop()
    harness.config = replace(harness.config, rotation_margin_seconds=100_000)
    await harness.start()
    (held,) = simulator.shelf
    await harness.adopt_elsewhere()
    before = held.started_at
    await harness.reaper.round()
    once = held.started_at
    await harness.reaper.round()
    assert before < once == held.started_at


async def test_what_runs_in_the_background_is_left_alone(harness: Harness, simulator: Simulator) -> None:
    """Also where its shell has ended; once it has ended itself, the next round rotates."""
    await harness.bash(2, "(until [ -e go ]; do sleep 0.02; done; touch gone) & true", background=True)
    held, started_at = aged(simulator)
    await harness.adopt_elsewhere()
    await harness.reaper.round()
    assert held.started_at == started_at
    await harness.bash(3, "touch go; until [ -e gone ]; do sleep 0.02; done")
    while held.started_at == started_at:
        await harness.reaper.round()
    assert (await harness.bash(4, "ls")).text == "f\ngo\ngone\n"


async def test_a_call_that_has_begun_is_not_disturbed_nor_another_owner(harness: Harness, simulator: Simulator) -> None:
    following = await harness.begin(2, "echo on; until [ -e go ]; do sleep 0.02; done; echo done")
    held, started_at = aged(simulator)
    await harness.adopt_elsewhere()
    await harness.reaper.round()
    assert held.started_at == started_at
    (held.root / "workspace" / "go").touch()
    assert (await following.result()).text == "on\ndone\n"
    harness.take_over()
    await harness.attach(tail_sequence=2)
    await harness.reaper.round()
    assert held.started_at == started_at, "the other replica took it in hand at an older epoch"


async def test_a_rotation_that_loses_files_is_found_out(harness: Harness, simulator: Simulator) -> None:
    aged(simulator)
    await harness.adopt_elsewhere()
    simulator.faults.arm(Fault(FaultKind.LOST_CHANGES, "/pause"))
    await harness.reaper.round()
    state = await harness.state()
    assert (state.generation, state.state) == (2, pb.GetSandboxResponse.PREPARING)
    await harness.attach(tail_sequence=1)
    assert (await harness.until_attached(lambda: harness.bash(2, "cat f"))).text == "x\n"
