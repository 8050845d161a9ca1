"""What a sweep does to one build: kills at boundaries, or losses of its sandbox."""

from dataclasses import dataclass
from typing import assert_never

from tests.crash.losses import Plan
from tests.crash.sweep import MIXED, Point, Result, Rig


@dataclass(frozen=True, slots=True)
class KillRun:
    """The process is killed at each of these boundaries in turn."""

    points: tuple[Point, ...]
    script: str = MIXED

    def __str__(self) -> str:
        return " + ".join(map(str, self.points))


@dataclass(frozen=True, slots=True)
class LossRun:
    """Sandboxes are lost as planned."""

    plan: Plan
    script: str

    def __str__(self) -> str:
        return f"losses with seed {self.plan.seed} in the script {self.script}"


Run = KillRun | LossRun


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a run."""

    run: Run
    result: Result
    killed: tuple[Point, ...] = ()
    losses: tuple[str, ...] = ()

    @property
    def is_missed(self) -> bool:
        """Whether something was planned that did not happen: the build did not come by one of the points."""
        return isinstance(self.run, KillRun) and self.killed != self.run.points


async def perform(rig: Rig, run: Run) -> Done:
    """Build, and meanwhile do what this run is about."""
    match run:
        case KillRun(points):
            result, killed = await rig.killed_build(*points)
            return Done(run, result, killed=points[:killed])
        case LossRun(plan, script):
            result, losses = await rig.lossy_build(plan, script)
            return Done(run, result, losses=losses)
        case _:
            assert_never(run)
