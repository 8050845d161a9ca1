"""`./taor crash-test`: the whole sweep, several installations side by side, with progress and a report."""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.sweep import Failure, Point, Result, Rig, compare, enumerate_points, running_rig, sample

Kills = tuple[Point, ...]


@dataclass
class Report:
    """What the sweep has found so far."""

    enumerated: int
    planned: int
    started_seconds: float = field(default_factory=time.monotonic)
    killed: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    extra_calls: int = 0
    missed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def take(self, kills: Kills, result: Result, fired: int, unkilled: Result) -> None:
        """Book one run."""
        self.runs += 1
        self.extra_calls += result.lost_holds_microdollars > 0
        self.killed.update(point.service for point in kills[:fired])
        if fired < len(kills):
            self.missed.append(" + ".join(map(str, kills)))
        self.failures += compare(kills, result, unkilled)

    def lines(self) -> Iterator[str]:
        """The report for people."""
        yield f"{self.enumerated} boundaries enumerated, {self.planned} runs planned, {self.runs} made"
        by_service = ", ".join(f"{count} {service}" for service, count in sorted(self.killed.items()))
        yield f"{sum(self.killed.values())} kills: {by_service}"
        yield f"{self.extra_calls} runs paid for one more call; none for more than one a take-over"
        yield f"{len(self.missed)} points not reached, {len(self.failures)} failures"
        yield from (f"not reached: {each}" for each in self.missed)
        yield from (f"FAILED {failure.what}: {' + '.join(map(str, failure.points))}" for failure in self.failures)

    def show_progress(self) -> None:
        """One line that is written over."""
        elapsed = time.monotonic() - self.started_seconds
        left = elapsed / max(self.runs, 1) * (self.planned - self.runs)
        bar = "█" * (30 * self.runs // self.planned)
        text = f"\r{bar:<30} {self.runs}/{self.planned}, {len(self.failures)} failures, {left:4.0f} s left "
        sys.stderr.write(text if sys.stderr.isatty() else "")


def main() -> int:
    """Parse, sweep, report; 1 when something failed or a point was not reached."""
    also = "The money has a hammer of its own: python -m tests.hammer (60 s, 200 clients, kills of everything)."
    parser = argparse.ArgumentParser(prog="./taor crash-test", description=__doc__, epilog=also)
    parser.add_argument("--points", type=int, default=0, metavar="N", help="a sample of N points; default: all of them")
    parser.add_argument("--pairs", type=int, default=20, metavar="N", help="N random pairs of kills in one build")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="installations side by side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes, as JSON")
    wanted = parser.parse_args()
    report = asyncio.run(_sweep(wanted))
    sys.stderr.write("\n")
    sys.stdout.write("\n".join(report.lines()) + "\n")
    if wanted.report:
        wanted.report.write_text(json.dumps({"lines": list(report.lines()), "killed": report.killed}, indent=2) + "\n")
    return 1 if report.failures or report.missed else 0


async def _sweep(wanted: argparse.Namespace) -> Report:
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(running_rig()) for _ in range(wanted.jobs)]
        for rig in rigs:
            await rig.build()  # fills the prompt cache, so that every later build costs the same
        unkilled = await rigs[0].build()
        points = enumerate_points([await rigs[0].record() for _ in range(3)])
        work = _plan(points, wanted)
        report = Report(len(points), len(work))
        queue = iter(work)
        await asyncio.gather(*(_work(rig, queue, unkilled, report) for rig in rigs))
    return report


def _plan(points: Sequence[Point], wanted: argparse.Namespace) -> list[Kills]:
    chance = random.Random(wanted.seed)
    singles = sample(points, wanted.points or len(points), wanted.seed)
    # The second kill must still lie ahead after the first: one that every turn comes by, in another service.
    early = [point for point in points if point.occurrence <= 2]
    often = [point for point in points if point.occurrence == 1 and Point(point.service, point.label, 9) in points]
    pairs = [(first, second) for first in early for second in often if first.service != second.service]
    return [(point,) for point in singles] + chance.sample(pairs, min(wanted.pairs, len(pairs)))


async def _work(rig: Rig, queue: Iterator[Kills], unkilled: Result, report: Report) -> None:
    for kills in queue:
        report.take(kills, *await rig.killed_build(*kills), unkilled)
        report.show_progress()


if __name__ == "__main__":
    sys.exit(main())
