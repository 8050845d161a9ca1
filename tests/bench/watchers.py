"""`watchers`: a thousand open streams of one build's events on one orchestrator."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli.clients import connect
from tests.bench.builds import Builds
from tests.bench.figures import Figure
from tests.bench.home import Home
from tests.bench.processes import read_cpu, services_rss_bytes
from tests.bench.progress import tell

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub

WATCHERS, QUICK_WATCHERS = 1000, 20
STREAMS_PER_CONNECTION = 100
TURNS = 20
LATENCY_SECONDS = 1.0
WATCH_SECONDS = 600.0


class Gap(Exception):
    """A watcher has missed an event, or got one twice."""


async def measure(home: Home) -> list[Figure]:
    """Watch one build from its start to its end, as often as that; every watcher has to get every event in order."""
    count = QUICK_WATCHERS if home.quick else WATCHERS
    tell(f"watchers: {count} of a build of {TURNS} turns, {LATENCY_SECONDS:g} s each")
    async with AsyncExitStack() as stack:
        connections = [
            (await stack.enter_async_context(connect(home.addresses))).orchestrator
            for _ in range(-(-count // STREAMS_PER_CONNECTION))
        ]
        builds = Builds(connections[0])
        idle_bytes, before = services_rss_bytes(home.options), read_cpu(home.options)
        build = await builds.start(f"synthetic turns={TURNS} latency_ms={LATENCY_SECONDS * 1000:.0f}")
        watching = [
            asyncio.ensure_future(_watch(connections[number % len(connections)], build.build_id))
            for number in range(count)
        ]
        await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        busy_bytes = services_rss_bytes(home.options)
        ends, events = zip(*await asyncio.gather(*watching), strict=True)
    if len(set(events)) != 1:
        raise Gap(f"the watchers got {sorted(set(events))} events")
    used = read_cpu(home.options).since(before)
    return [
        Figure("watchers", f"events that each of {count} watchers got, in order", events[0]),
        Figure("watchers", "from the first who saw the end to the last", max(ends) - min(ends), "s"),
        Figure(
            "watchers", "CPU of the orchestrator per event sent", used.orchestrator * 1e6 / (count * events[0]), "µs"
        ),
        Figure("watchers", "CPU of PostgreSQL, all in all", used.postgres, "s"),
        Figure("watchers", "memory of the services per watcher", (busy_bytes - idle_bytes) / count / 1024, "KiB"),
    ]


async def _watch(orchestrator: "OrchestratorServiceAsyncStub", build_id: str) -> tuple[float, int]:
    """When this watcher saw the end, and how many events it got."""
    last = 0
    stream = orchestrator.WatchBuild(pb.WatchBuildRequest(build_id=build_id), timeout=WATCH_SECONDS)
    async for response in stream:
        if response.event.sequence != last + 1:
            raise Gap(f"event {response.event.sequence} after event {last}")
        last += 1
    return time.monotonic(), last
