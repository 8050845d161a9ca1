"""When a snapshot is taken: beside the next model call once half a minute has passed, not after every turn."""

from __future__ import annotations

import dataclasses

from taor_chassis.clock import SystemClock
from taor_orchestrator.build import Claim, Ended
from taor_orchestrator.loop import run
from taor_orchestrator.tenure import SNAPSHOT_EVERY_SECONDS
from taor_orchestrator.toolset import ToolInput
from taor_orchestrator.transcript import ToolAnswer
from tests.unit.orchestrator.world import FINISH, Sandbox, Script, Switch, World, use

TURNS = 20
TURN_SECONDS = 10.0


class Elapsed(SystemClock):
    """Time passes with the turns alone."""

    seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.seconds


class Counting(Sandbox):
    """A sandbox in which every call takes its time."""

    clock: Elapsed
    taken_at: list[float]

    async def dispatch(
        self, claim: Claim, generation: int, op_id: str, log_sequence: int, tool: ToolInput
    ) -> ToolAnswer:
        self.clock.seconds += TURN_SECONDS
        return await super().dispatch(claim, generation, op_id, log_sequence, tool)

    async def snapshot(self, claim: Claim, generation: int) -> None:
        self.taken_at.append(self.clock.seconds)


async def test_a_snapshot_is_taken_every_half_minute() -> None:
    script: Script = (*((use("bash", command=f"echo {turn}"),) for turn in range(TURNS)), (FINISH,))
    world = World(script)
    sandbox = Counting(world, Switch())
    sandbox.clock, sandbox.taken_at = Elapsed(), []
    ports = dataclasses.replace(world.ports(Switch()), sandbox=sandbox, clock=sandbox.clock)
    assert isinstance(await run(world.claim(), ports), Ended)
    first, *_ = sandbox.taken_at
    assert SNAPSHOT_EVERY_SECONDS <= first < 2 * SNAPSHOT_EVERY_SECONDS + TURN_SECONDS
    pauses = [after - before for before, after in zip(sandbox.taken_at, sandbox.taken_at[1:], strict=False)]
    assert pauses == [SNAPSHOT_EVERY_SECONDS] * len(pauses)
    assert sandbox.taken_at[-1] > TURNS * TURN_SECONDS - SNAPSHOT_EVERY_SECONDS
