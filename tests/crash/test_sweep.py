"""A sample of the crash sweep, over every service; the whole of it is `./taor crash-test`."""

from collections.abc import Iterable

from tests.crash.losses import Kind, Plan
from tests.crash.runs import Done, KillRun, LossRun, perform
from tests.crash.sweep import CAREFUL, MIXED, Rig, compare, enumerate_points, running_rig, sample

POINTS = 10
SEED = 7
# What these seeds draw: files and processes are lost before, beside and after a call, with and without snapshots.
LOSSES = {MIXED: Plan(37, (Kind.DESTROYED,)), CAREFUL: Plan(7, tuple(Kind))}


async def test_a_build_comes_out_the_same_wherever_it_is_killed_and_whatever_sandbox_it_loses() -> None:
    async with running_rig() as rig:
        done = [*await _kills(rig), *await _losses(rig)]
        undisturbed = {script: await rig.build(script) for script in LOSSES}
    failures = [each for one in done for each in compare(str(one.run), one.result, undisturbed[one.run.script])]
    assert failures == []
    assert all(result.state == "SUCCEEDED" and not result.findings for result in undisturbed.values())


async def _kills(rig: Rig) -> Iterable[Done]:
    await rig.build()  # fills the prompt cache, so that every later build costs the same
    points = enumerate_points([await rig.record(), await rig.record()])
    assert {point.service for point in points} == {"budget", "checkpoint", "orchestrator", "sandbox"}
    done: list[Done] = []
    # How often a build comes by a boundary depends on how long things take: for one that it missed, another is taken.
    for point in sample(points, 2 * POINTS, SEED):
        done.append(await perform(rig, KillRun((point,))))
        if sum(len(each.killed) for each in done) == POINTS:
            return done
    raise AssertionError(f"of {len(done)} boundaries too few were reached")


async def _losses(rig: Rig) -> Iterable[Done]:
    await rig.build(CAREFUL)
    done = [await perform(rig, LossRun(plan, script)) for script, plan in LOSSES.items()]
    assert all(len(each.losses) > 1 for each in done)
    return done
