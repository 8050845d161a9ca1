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
from tests.support.cut_proxy import Fault

MIDST_TURNS = range(3, 10)  # of thirteen
MODEL_LINK = "orchestrator-model"
TRIES = 10
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
        yield from (
            f"{self.disruption}: {failure.what}" for failure in compare(self.disruption, self.result, undisturbed)
        )
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
    building, build_id = await _held_in_its_midst(network, orchestrator)
    try:
        await disruption.begin(network)
        try:
            seen = Counter([await _look(orchestrator, build_id)])
            if disruption.link != MODEL_LINK:
                await network.proxies[MODEL_LINK].set(Fault.NONE)
            seen += await _watch(orchestrator, build_id, seconds)
        finally:
            await disruption.end(network)
        return Disturbed(disruption.name, await building, seen, time.monotonic() - started)
    finally:
        building.cancel()


async def _held_in_its_midst(network: Network, orchestrator: Orchestrator) -> tuple[asyncio.Task[Result], str]:
    """A build that waits for its model in the midst of its turns, and its id; one that was too fast is let go."""
    model = network.proxies[MODEL_LINK]
    for _ in range(TRIES):
        before = await _newest(orchestrator)
        building = asyncio.ensure_future(network.rig.build())
        build_id = await _at_work(orchestrator, before)
        # From here on no further answer arrives; one may have arrived already.
        await model.set(Fault.BLACK_HOLE)
        if (await orchestrator.get(build_id)).turns in MIDST_TURNS:
            return building, build_id
        await model.set(Fault.NONE)
        await building
    raise AssertionError(f"of {TRIES} builds none could be met in its midst")


async def _newest(orchestrator: Orchestrator) -> Build | None:
    return await anext(orchestrator.list(limit=1), None)


async def _at_work(orchestrator: Orchestrator, before: Build | None) -> str:
    while True:
        build = await _newest(orchestrator)
        if build and (before is None or build.build_id != before.build_id) and build.turns >= MIDST_TURNS.start:
            return build.build_id
        await asyncio.sleep(POLL_SECONDS)


async def _watch(orchestrator: Orchestrator, build_id: str, seconds: float) -> Counter[str]:
    """What GetBuild says, again and again."""
    seen: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen[await _look(orchestrator, build_id)] += 1
        await asyncio.sleep(POLL_SECONDS)
    return seen


async def _look(orchestrator: Orchestrator, build_id: str) -> str:
    """What GetBuild says once: a state, or a status code."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return (await orchestrator.get(build_id)).state.name
    except grpc.aio.AioRpcError as error:
        return error.code().name
    except TimeoutError:
        return grpc.StatusCode.DEADLINE_EXCEEDED.name
