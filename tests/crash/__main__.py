"""`./taor crash-test`: the whole sweep, several installations side by side, with progress and a report.

Beside it the large sizes of the protocol's models are explored, unless only a sample is wanted.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.crash.losses import Kind, Plan
from tests.crash.models import explore
from tests.crash.report import Report
from tests.crash.runs import Run, perform
from tests.crash.sweep import CAREFUL, LONG, MIXED, Point, Result, Rig, enumerate_points, running_rig, sample

# What is lost with a sandbox: a command that was killed has to be given again, so only the careful script meets that.
LOST = {MIXED: (Kind.DESTROYED,), CAREFUL: tuple(Kind)}


def main() -> int:
    """Parse, sweep, report; 1 when something failed or a point was not reached."""
    also = "The money has a hammer of its own: python -m tests.hammer (60 s, 200 clients, kills of everything)."
    parser = argparse.ArgumentParser(prog="./taor crash-test", description=__doc__, epilog=also)
    parser.add_argument("--points", type=int, default=0, metavar="N", help="a sample of N points; default: all of them")
    parser.add_argument("--pairs", type=int, default=20, metavar="N", help="N random pairs of kills in one build")
    parser.add_argument("--losses", type=int, default=100, metavar="N", help="N builds that lose sandboxes by chance")
    parser.add_argument("--long", type=int, default=8, metavar="N", help="N builds of fifty turns that do so too")
    parser.add_argument("--both", type=int, default=40, metavar="N", help="N builds that meet a kill and such losses")
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="installations side by side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes, as JSON")
    parser.add_argument("--models", action=argparse.BooleanOptionalAction, help="default: unless --points is given")
    wanted = parser.parse_args()
    report = asyncio.run(_run(wanted))
    sys.stderr.write("\n")
    sys.stdout.write("\n".join(report.lines()) + "\n")
    if wanted.report:
        wanted.report.write_text(json.dumps(report.document(), indent=2) + "\n")
    return 0 if report.is_clean else 1


async def _run(wanted: argparse.Namespace) -> Report:
    has_models = not wanted.points if wanted.models is None else wanted.models
    async with asyncio.TaskGroup() as both:
        exploring = both.create_task(explore()) if has_models else None
        sweeping = both.create_task(_sweep(wanted))
    report = sweeping.result()
    report.explored = exploring.result() if exploring else ()
    return report


async def _sweep(wanted: argparse.Namespace) -> Report:
    async with AsyncExitStack() as stack:
        rig = await _warm_rig(stack)
        undisturbed = {script: await rig.build(script) for script in (*LOST, LONG)}
        points = enumerate_points([await rig.record() for _ in range(3)])
        runs = _plan(points, wanted)
        report = Report(len(points), len(runs))
        queue = iter(runs)
        workers = [asyncio.ensure_future(_work(rig, queue, undisturbed, report))]
        while len(workers) < wanted.jobs and report.runs < report.planned:
            workers.append(asyncio.ensure_future(_work(await _warm_rig(stack), queue, undisturbed, report)))
        await asyncio.gather(*workers)
    return report


async def _warm_rig(stack: AsyncExitStack) -> Rig:
    rig = await stack.enter_async_context(running_rig())
    await rig.warm(*LOST, LONG)
    return rig


def _plan(points: Sequence[Point], wanted: argparse.Namespace) -> Sequence[Run]:
    """Losses first, while every prompt is still in the cache; then what has kills, in random order."""
    chance = random.Random(wanted.seed)
    scripts = itertools.islice(itertools.cycle(LOST), wanted.losses)
    losses = [Run((), Plan(seed, LOST[script]), script) for seed, script in enumerate(scripts)]
    losses += [Run((), Plan(seed, LOST[MIXED]), LONG) for seed in range(wanted.long)]
    singles = sample(points, wanted.points or len(points), wanted.seed)
    # The second kill must still lie ahead after the first: both where every turn comes by, in different services.
    often = [point for point in points if Point(point.service, point.label, 9) in points]
    early = [point for point in often if point.occurrence <= 2]
    pairs = [(one, other) for one in early for other in often if other.occurrence == 1 and one.service != other.service]
    kills = [(point,) for point in singles] + chance.sample(pairs, min(wanted.pairs, len(pairs)))
    disturbed = [Run(each) for each in kills]
    for number, point in zip(range(wanted.both), itertools.cycle(sample(often, len(often), wanted.seed)), strict=False):
        disturbed.append(Run((point,), Plan(wanted.losses + number, LOST[MIXED])))
    chance.shuffle(disturbed)
    return losses + disturbed


async def _work(rig: Rig, queue: Iterator[Run], undisturbed: Mapping[str, Result], report: Report) -> None:
    for run in queue:
        try:
            report.take(await perform(rig, run), undisturbed)
        except AssertionError as never_ended:
            report.fail(run, never_ended)
        report.show_progress()


if __name__ == "__main__":
    sys.exit(main())
