"""What a sweep does to one build: kills at boundaries, losses of its sandbox, or both."""

from dataclasses import dataclass

from tests.crash.losses import Plan
from tests.crash.sweep import MIXED, Point, Result, Rig


@dataclass(frozen=True, slots=True)
class Run:
    """The process is killed at each of these points in turn, and sandboxes are lost as planned."""

    points: tuple[Point, ...] = ()
    plan: Plan | None = None
    script: str = MIXED

    def __str__(self) -> str:
        losses = [f"losses with seed {self.plan.seed} in the script {self.script}"] if self.plan else []
        return " + ".join([*map(str, self.points), *losses])


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a run."""

    run: Run
    result: Result
    killed: tuple[Point, ...]
    losses: tuple[str, ...]

    @property
    def is_missed(self) -> bool:
        """Whether a kill was planned that did not happen: the build did not come by one of the points."""
        return self.killed != self.run.points


async def perform(rig: Rig, run: Run) -> Done:
    """Build, and meanwhile do what this run is about."""
    async with rig.losing(run.plan) as losses, rig.killing(run.points) as killed:
        result = await rig.build(run.script)
    return Done(run, result, run.points[: killed.count], tuple(losses))
