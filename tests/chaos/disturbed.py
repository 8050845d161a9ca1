"""A build in whose midst something goes wrong: what came of it, and what people saw of it meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from taor_cli.builds import Build, BuildState
from taor_cli.orchestrator import Orchestrator
from tests.chaos.disruption import Disruption
from tests.chaos.network import Network
from tests.crash.sweep import Result, compare

MIDST_TURNS = 3
LOOK_SECONDS = 2.0
POLL_SECONDS = 0.02
AT_WORK = (BuildState.QUEUED, BuildState.RUNNING)
# While the orchestrator or its database is away it must say just that, and not that something is wrong inside.
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A build that something happened to."""

    disruption: str
    result: Result
    seen: Counter[str]
    """What GetBuild said meanwhile, and how often: a state, or a status code."""
    seconds: float

    def findings(self, undisturbed: Result) -> Iterator[str]:
        """What is not as it should be."""
        clear = {state.name for state in AT_WORK} | {code.name for code in AWAY}
        # A crash is over before its time is: then the build may end while it is watched.
        ended = {undisturbed.state}
        yield from (f"{self.disruption}: GetBuild said {what}" for what in self.seen.keys() - clear - ended)
        yield from (f"{self.disruption}: {failure.what}" for failure in compare(self.disruption, self.result, undisturbed))
        if not self.seen.keys() & clear:
            yield f"{self.disruption}: it was over before anything was seen"


async def undisturbed_build(network: Network) -> Result:
    """What the build comes to when nothing happens; the first one fills the prompt cache, so that all cost the same."""
    await network.rig.build()
    result = await network.rig.build()
    assert result.state == "SUCCEEDED"
    assert not result.findings
    return result


async def disturbed_build(network: Network, disruption: Disruption, seconds: float) -> Disturbed:
    """Run the build; in its midst the disruption begins, and it ends `seconds` later."""
    started = time.monotonic()
    orchestrator = Orchestrator(network.clients.orchestrator)
    before = await _newest(orchestrator)
    building = asyncio.ensure_future(network.rig.build())
    try:
        build_id = await _in_its_midst(orchestrator, before)
        await disruption.begin(network)
        try:
            seen = await _watch(orchestrator, build_id, seconds)
        finally:
            await disruption.end(network)
        return Disturbed(disruption.name, await building, seen, time.monotonic() - started)
    finally:
        building.cancel()


async def _newest(orchestrator: Orchestrator) -> Build | None:
    return await anext(orchestrator.list(limit=1), None)


async def _in_its_midst(orchestrator: Orchestrator, before: Build | None) -> str:
    while True:
        build = await _newest(orchestrator)
        if build and (before is None or build.build_id != before.build_id) and build.turns >= MIDST_TURNS:
            return build.build_id
        await asyncio.sleep(POLL_SECONDS)


async def _watch(orchestrator: Orchestrator, build_id: str, seconds: float) -> Counter[str]:
    """What GetBuild says, again and again."""
    seen: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                seen[(await orchestrator.get(build_id)).state.name] += 1
        except grpc.aio.AioRpcError as error:
            seen[error.code().name] += 1
        except TimeoutError:
            seen[grpc.StatusCode.DEADLINE_EXCEEDED.name] += 1
        await asyncio.sleep(POLL_SECONDS)
    return seen
