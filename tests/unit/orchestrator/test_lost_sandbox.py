"""A sandbox is lost under its worker: whoever finds it lost attaches again, once, and the tenure goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

from taor_chassis.clock import SystemClock
from taor_orchestrator.build import BuildState, Claim, Ended
from taor_orchestrator.loop import run
from taor_orchestrator.ports import Attached, Fate, LeaseLost, StaleGeneration
from taor_orchestrator.tenure import SNAPSHOT_EVERY_SECONDS
from taor_orchestrator.toolset import ToolInput
from taor_orchestrator.transcript import ToolAnswer
from tests.unit.orchestrator.world import FINISH, SCRIPT, Sandbox, Script, Switch, World, use

TWO_READS: Script = ((use("read_file", path="a"), use("read_file", path="b")), (FINISH,))
STEPS_OF_AN_ATTACH = 20


class Losing(Sandbox):
    """The first generation is found lost by one kind of use."""

    attaches = 0
    snapshots = 0
    lost_for = ""
    meeting = asyncio.Barrier(1)

    async def attach(self, claim: Claim, attach_number: int, tail_sequence: int) -> Attached:
        self.attaches += 1
        number = self.attaches
        for _ in range(STEPS_OF_AN_ATTACH):
            await asyncio.sleep(0)
        if number != self.attaches:
            raise LeaseLost("a later attach of this claim took over")
        return dataclasses.replace(await super().attach(claim, attach_number, tail_sequence), generation=number)

    async def dispatch(
        self, claim: Claim, generation: int, op_id: str, log_sequence: int, tool: ToolInput
    ) -> ToolAnswer:
        if self.lost_for == "dispatch" and generation == 1:
            await self.meeting.wait()
            raise StaleGeneration
        return await super().dispatch(claim, generation, op_id, log_sequence, tool)

    async def snapshot(self, claim: Claim, generation: int) -> None:
        self.snapshots += 1
        if self.lost_for == "snapshot" and generation == 1:
            raise StaleGeneration

    async def release(self, claim: Claim, generation: int, fate: Fate) -> None:
        if self.lost_for == "release" and generation == 1:
            raise StaleGeneration
        await super().release(claim, generation, fate)


class Leaping(SystemClock):
    """A snapshot is due at every look."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    def monotonic_seconds(self) -> float:
        return next(self._looks) * 3 * SNAPSHOT_EVERY_SECONDS


async def _build(script: Script, lost_for: str, together: int = 1) -> tuple[World, Losing]:
    world = World(script)
    sandbox = Losing(world, Switch())
    sandbox.lost_for, sandbox.meeting = lost_for, asyncio.Barrier(together)
    ending = await run(world.claim(), dataclasses.replace(world.ports(Switch()), sandbox=sandbox, clock=Leaping()))
    assert isinstance(ending, Ended)
    assert ending.outcome.state is BuildState.SUCCEEDED
    assert world.fates == [Fate.DESTROY]
    return world, sandbox


async def test_two_calls_side_by_side_that_find_it_lost_attach_once() -> None:
    _, sandbox = await _build(TWO_READS, "dispatch", together=2)
    assert sandbox.attaches == 2


async def test_a_snapshot_that_finds_it_lost_breaks_nothing() -> None:
    world, sandbox = await _build(SCRIPT, "snapshot")
    assert sandbox.snapshots > 1
    assert sandbox.attaches == 2
    assert len(world.operations) == 3


async def test_one_that_is_lost_before_its_release_is_restored_and_released() -> None:
    _, sandbox = await _build(SCRIPT, "release")
    assert sandbox.attaches == 2
