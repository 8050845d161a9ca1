"""`python -m tests.chaos`: every link and fault, twenty builds under random disruptions, and a crowd; with a report.

Nothing here is compared with a clock: it takes as long as it takes, and every build has to come out right.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from tests.chaos.crowd import WORKERS, Crowd, run_crowd
from tests.chaos.disruption import Disruption, broken_link, crashed, full_disk, stalled
from tests.chaos.disturbed import disturbed_build, undisturbed_build
from tests.chaos.network import LINKS, Network, running_network
from tests.chaos.storm import Storm, run_storm
from tests.chaos.test_full_disk import small_disk_for
from tests.support.cut_proxy import Fault

FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)
DISKS = ("postgres", "blobs")
CROWD = Crowd(builds=500, kills=8, turns=4, think_seconds=30.0, timeout_seconds=1800)
PARTS = ("links", "disks", "storm", "crowd")


def main() -> int:
    """Parse, run the parts that are wanted, report; 1 when something was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; default: all")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="N", help="how long a link is broken")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="installations side by side")
    parser.add_argument("--builds", type=int, default=20, metavar="N", help="builds in the storm")
    parser.add_argument("--crowd", type=int, default=CROWD.builds, metavar="N", help="builds in the crowd")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    if unknown := set(wanted.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    findings = asyncio.run(_run(wanted))
    sys.stdout.write("".join(f"FAILED {each}\n" for each in findings) + f"{len(findings)} findings\n")
    return 1 if findings else 0


async def _run(wanted: argparse.Namespace) -> Sequence[str]:
    findings: list[str] = []
    parts = wanted.parts or PARTS
    if "links" in parts:
        findings += await _links(wanted)
    if "disks" in parts:
        findings += await _disks(wanted)
    if "storm" in parts:
        findings += await _storm(wanted)
    if "crowd" in parts:
        findings += await _crowd(replace(CROWD, builds=wanted.crowd))
    return findings


async def _links(wanted: argparse.Namespace) -> Sequence[str]:
    """Every fault of every link, the crash of every part; several installations share the work."""
    disruptions = [broken_link(link, fault) for link in LINKS for fault in FAULTS]
    disruptions += [crashed("postgres"), *(stalled(part) for part in ("budget", "checkpoint", "sandbox", "postgres"))]
    queue = iter(disruptions)
    async with AsyncExitStack() as stack:
        networks = [await stack.enter_async_context(running_network()) for _ in range(wanted.jobs)]
        found = await asyncio.gather(*(_work(network, queue, wanted.seconds) for network in networks))
    return [each for one in found for each in one]


async def _work(network: Network, queue: Iterator[Disruption], seconds: float) -> Sequence[str]:
    undisturbed = await undisturbed_build(network)
    findings: list[str] = []
    for disruption in queue:
        try:
            disturbed = await disturbed_build(network, disruption, seconds)
        except AssertionError as never_ended:
            findings.append(f"{disruption.name}: {never_ended}")
            continue
        findings += disturbed.findings(undisturbed)
        seen = ", ".join(f"{what} {count}x" for what, count in sorted(disturbed.seen.items()))
        _say(f"{disruption.name}: {disturbed.seconds:.0f} s, {disturbed.result.epochs} workers; GetBuild: {seen}")
    return findings


async def _disks(wanted: argparse.Namespace) -> Sequence[str]:
    findings: list[str] = []
    for folder in DISKS:
        try:
            async with running_network(small_disk_for(folder)) as network:
                findings += await _work(network, iter((full_disk(folder),)), wanted.seconds)
        except subprocess.CalledProcessError:
            _say(f"{folder} full: left out, this user (uid {os.geteuid()}) may not mount a small file system")
    return findings


async def _storm(wanted: argparse.Namespace) -> Sequence[str]:
    async with running_network() as network:
        outcome = await run_storm(network, Storm(builds=wanted.builds), random.Random(wanted.seed))
    disruptions = ", ".join(f"{name} {count}x" for name, count in sorted(outcome.disruptions.items()))
    _say(f"storm over {wanted.builds} builds: {outcome.seconds:.0f} s, {outcome.workers} workers; {disruptions}")
    return outcome.findings


async def _crowd(crowd: Crowd) -> Sequence[str]:
    outcome = await run_crowd(crowd)
    each = (outcome.full_bytes - outcome.idle_bytes) / outcome.most_in_one_worker / 1024
    _say(
        f"crowd: {outcome.most_in_one_worker} builds at once in one worker ({outcome.full_bytes / 2**20:.0f} MiB, "
        f"{each:.0f} KiB a build), then {WORKERS} workers, {crowd.kills} of them killed: {outcome.taken_over} "
        f"take-overs; {outcome.seconds:.0f} s"
    )
    return outcome.findings


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
