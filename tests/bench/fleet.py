"""`fleet`: a hundred builds at once, each call of whose model takes half a second."""

import asyncio
from collections.abc import Sequence

from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli.clients import connect
from tests.bench.builds import Builds, running_seconds
from tests.bench.figures import Figure, Reference, at_most
from tests.bench.home import Home
from tests.bench.processes import read_cpu, services_rss_bytes
from tests.bench.progress import tell

BUILDS, TURNS = 100, 60
QUICK_BUILDS, QUICK_TURNS = 10, 5
LATENCY_SECONDS = 0.5
SAMPLE_SECONDS = 0.5
MEBIBYTE = 1024**2
MOST_TIMES_IDEAL, MOST_MEBIBYTES = 1.25, 1.0


async def measure(home: Home) -> list[Figure]:
    """Start them all together and wait for the last; ideal is what their models alone take, one after another."""
    count, turns = (QUICK_BUILDS, QUICK_TURNS) if home.quick else (BUILDS, TURNS)
    tell(f"fleet: {count} builds of {turns} turns, {LATENCY_SECONDS:g} s each")
    idle_bytes, before = services_rss_bytes(home.options), read_cpu(home.options)
    async with connect(home.addresses) as clients:
        builds = Builds(clients.orchestrator)
        script = f"synthetic turns={turns} latency_ms={LATENCY_SECONDS * 1000:.0f}"
        started = await asyncio.gather(*(builds.start(script) for _ in range(count)))
        finished, busy_bytes = await _finish_watching_memory(home, builds, started)
        taken_over = await builds.take_overs(finished)
    used = read_cpu(home.options).since(before)
    ideal = Reference("ideal", turns * LATENCY_SECONDS)
    each = (busy_bytes - idle_bytes) / count / MEBIBYTE
    return [
        Figure("fleet", f"wall, {count} builds", running_seconds(finished), "s", ideal, at_most(MOST_TIMES_IDEAL)),
        Figure("fleet", "builds taken over for a late heartbeat", taken_over),
        Figure("fleet", "memory of the services per build", each, "MiB", None, at_most(MOST_MEBIBYTES)),
        Figure("fleet", "memory of the idle services", idle_bytes / MEBIBYTE, "MiB"),
        *(
            Figure("fleet", f"CPU per turn, {part}", getattr(used, part) * 1000 / (count * turns), "ms")
            for part in ("services", *used.__slots__)
        ),
    ]


async def _finish_watching_memory(
    home: Home, builds: Builds, started: Sequence[pb.Build]
) -> tuple[list[pb.Build], int]:
    """The finished builds, and the most memory that the services had on the way."""
    finishing = asyncio.create_task(builds.finish(started))
    most_bytes = 0
    while not finishing.done():
        most_bytes = max(most_bytes, services_rss_bytes(home.options))
        await asyncio.wait({finishing}, timeout=SAMPLE_SECONDS)
    return finishing.result(), most_bytes
