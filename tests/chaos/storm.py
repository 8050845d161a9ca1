"""Builds side by side while, one after the other, random things go wrong around them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from taor_local.composition import SERVICES
from tests.chaos.disruption import Disruption, broken_link, crashed, stalled
from tests.chaos.disturbed import undisturbed_build
from tests.chaos.network import LINKS, Network
from tests.crash.sweep import Result, compare
from tests.support.cut_proxy import Fault

BUILD_SECONDS = 900.0
# A build that mostly waits for its model is long enough to be met in the midst by many things.
MODEL_DELAY_SECONDS = 0.5
LONGEST_CALM_SECONDS = 2.0
LONGEST_FAULT_SECONDS = 3.0
LONGER_THAN_A_LEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Storm:
    """How many builds it meets."""

    builds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the builds, and what had happened to them."""

    findings: Sequence[str]
    disruptions: Counter[str]
    workers: int
    """How often a build was claimed, over all builds."""
    seconds: float


async def run_storm(network: Network, storm: Storm, chance: random.Random) -> Outcome:
    """Run the builds until each has ended, whatever happens; then the weather is fine again."""
    undisturbed = await undisturbed_build(network)
    network.proxies["orchestrator-model"].delay_seconds = MODEL_DELAY_SECONDS
    started = time.monotonic()
    disruptions: Counter[str] = Counter()
    building = [asyncio.ensure_future(network.rig.run(BUILD_SECONDS)) for _ in range(storm.builds)]
    weather = asyncio.ensure_future(_blow(network, chance, disruptions))
    try:
        builds = await asyncio.gather(*building, return_exceptions=True)
    finally:
        weather.cancel()
        await asyncio.wait((weather,))
    # Only now: an audit of a service that stands still would find the half of it missing.
    results = [each if isinstance(each, BaseException) else await network.rig.look(each) for each in builds]
    findings = [each for result in results for each in _findings(result, undisturbed)]
    if weather.done() and not weather.cancelled() and weather.exception():
        findings.append(f"the storm itself broke: {weather.exception()!r}")
    workers = sum(result.epochs for result in results if isinstance(result, Result))
    return Outcome(findings, disruptions, workers, time.monotonic() - started)


def _findings(result: Result | BaseException, undisturbed: Result) -> Sequence[str]:
    if isinstance(result, BaseException):
        return [f"a build of the storm: {result!r}"]
    return [f"a build of the storm: {failure.what}" for failure in compare("storm", result, undisturbed)]


async def _blow(network: Network, chance: random.Random, disruptions: Counter[str]) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0, LONGEST_CALM_SECONDS))
        disruption, seconds = _any(chance)
        disruptions[disruption.name] += 1
        await disruption.begin(network)
        try:
            await asyncio.sleep(seconds)
        finally:
            await disruption.end(network)


def _any(chance: random.Random) -> tuple[Disruption, float]:
    """Something that goes wrong, and for how long."""
    part = chance.choice((*SERVICES, "postgres"))
    match chance.randrange(3):
        case 0:
            return crashed(part), 0.0
        case 1:
            return stalled(part), LONGER_THAN_A_LEASE_SECONDS
        case _:
            fault = chance.choice([fault for fault in Fault if fault is not Fault.NONE])
            return broken_link(chance.choice(LINKS), fault), chance.uniform(0, LONGEST_FAULT_SECONDS)
