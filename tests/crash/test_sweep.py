"""A sample of the crash sweep, over every service; the whole of it is `./taor crash-test`."""

import asyncio
from collections.abc import Iterator

from tests.crash.losses import Kind, Plan
from tests.crash.runs import Done, Run, perform
from tests.crash.sweep import CAREFUL, LONG, MIXED, Rig, compare, enumerate_points, running_rig, sample

POINTS = 10
SEED = 7
# What these seeds draw: files and processes are lost before, beside and after a call, with and without snapshots.
LOSSES = (
    Run((), Plan(1, (Kind.DESTROYED,)), LONG),
    Run((), Plan(37, (Kind.DESTROYED,)), MIXED),
    Run((), Plan(7, tuple(Kind)), CAREFUL),
)
SCRIPTS = (MIXED, CAREFUL, LONG)


async def test_a_build_comes_out_the_same_wherever_it_is_killed_and_whatever_sandbox_it_loses() -> None:
    async with running_rig() as rig, running_rig() as second:
        await asyncio.gather(rig.warm(*SCRIPTS), second.warm(*SCRIPTS))
        undisturbed = {script: await rig.build(script) for script in SCRIPTS}
        points = enumerate_points([await rig.record(), await rig.record()])
        kills = [Run((point,)) for point in sample(points, POINTS, SEED)]
        runs: Iterator[Run] = iter((*LOSSES, *kills))
        done: list[Done] = []
        await asyncio.gather(_work(rig, runs, done), _work(second, runs, done))
    assert all(result.state == "SUCCEEDED" and not result.findings for result in undisturbed.values())
    assert {point.service for point in points} == {"budget", "checkpoint", "orchestrator", "sandbox"}
    assert [str(one.run) for one in done if one.is_missed] == []
    assert all(one.losses for one in done if one.run.plan)
    assert [each for one in done for each in compare(str(one.run), one.result, undisturbed[one.run.script])] == []


async def _work(rig: Rig, runs: Iterator[Run], done: list[Done]) -> None:
    for run in runs:
        done.append(await perform(rig, run))
