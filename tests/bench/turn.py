"""`turn`: what taor adds to a turn when the model takes no time, beside a bare loop in the same run."""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from taor_cli.clients import connect
from tests.bench.builds import Builds
from tests.bench.figures import Figure, Reference, at_most
from tests.bench.home import Home
from tests.bench.processes import CpuSeconds, read_cpu
from tests.bench.progress import tell
from tests.bench.record import around, turn_milliseconds

TURNS, QUICK_TURNS = 200, 30
ROUNDS, QUICK_ROUNDS = 3, 1
EARLY, LATE = 10, 190
MOST_TIMES_FLOOR, MOST_GROWTH = 1.5, 1.15


@dataclass(frozen=True, slots=True)
class Round:
    """One build, or one run of the floor: how long its turns took, and who used the processor, in ms per turn."""

    turns: list[float]
    cpu: dict[str, float]

    @property
    def mean(self) -> float:
        """Milliseconds per turn, the slow ones included."""
        return statistics.fmean(self.turns)

    @property
    def growth(self) -> float:
        """How much longer a late turn takes than an early one."""
        late = LATE if len(self.turns) >= LATE else len(self.turns) - 5
        return around(self.turns, late) / around(self.turns, EARLY)


async def measure(home: Home) -> list[Figure]:
    """Let the floor and taor take turns, so that a busy moment of the machine meets both."""
    turns, rounds = (QUICK_TURNS, QUICK_ROUNDS) if home.quick else (TURNS, ROUNDS)
    floor, ours = [], []
    async with connect(home.addresses) as clients:
        builds = Builds(clients.orchestrator)
        for number in range(1, rounds + 1):
            tell(f"turn: {turns} turns of the floor, then of taor ({number} of {rounds})")
            floor.append(await _floor_round(home, turns, number))
            ours.append(await _taor_round(home, builds, turns))
    return [*_latency(ours, floor), *_processor(ours, floor)]


def _latency(ours: Sequence[Round], floor: Sequence[Round]) -> list[Figure]:
    own, bare = _middle(ours), _middle(floor)
    return [
        Figure("turn", "wall per turn", own.mean, "ms", Reference("floor", bare.mean), at_most(MOST_TIMES_FLOOR)),
        Figure("turn", "median turn", statistics.median(own.turns), "ms", _median_of(bare)),
        Figure("turn", "late turn ÷ early turn", own.growth, "×", None, at_most(MOST_GROWTH)),
        Figure("turn", "the floor's late ÷ early", bare.growth, "×"),
    ]


def _median_of(bare: Round) -> Reference:
    return Reference("floor", statistics.median(bare.turns))


def _processor(ours: Sequence[Round], floor: Sequence[Round]) -> list[Figure]:
    def per_turn(rounds: Sequence[Round], part: str) -> float:
        return statistics.median(each.cpu[part] for each in rounds)

    parts = [name for name in CpuSeconds.__slots__ if name not in ("sandboxes", "postgres", "model")]
    return [
        Figure("turn", "CPU of the services", per_turn(ours, "services"), "ms", _cpu_reference(floor, "loop")),
        *(Figure("turn", f"  {name}", per_turn(ours, name), "ms") for name in parts),
        Figure("turn", "CPU of the commands", per_turn(ours, "sandboxes"), "ms", _cpu_reference(floor, "commands")),
        Figure("turn", "CPU of PostgreSQL", per_turn(ours, "postgres"), "ms", _cpu_reference(floor, "postgres")),
        Figure("turn", "CPU of the scripted model", per_turn(ours, "model"), "ms", _cpu_reference(floor, "model")),
    ]


def _cpu_reference(floor: Sequence[Round], part: str) -> Reference:
    return Reference("floor", statistics.median(each.cpu[part] for each in floor))


def _middle(rounds: Sequence[Round]) -> Round:
    return sorted(rounds, key=lambda each: each.mean)[len(rounds) // 2]


async def _taor_round(home: Home, builds: Builds, turns: int) -> Round:
    before = read_cpu(home.options)
    (build,) = await builds.finish([await builds.start(f"bench-{turns}")])
    used = read_cpu(home.options).since(before)
    parts = {name: getattr(used, name) for name in (*CpuSeconds.__slots__, "services")}
    return Round(_turns(home, build.build_id), _milliseconds(parts, turns))


async def _floor_round(home: Home, turns: int, number: int) -> Round:
    name = f"floor-{number}"
    dsn = await home.fresh_database("bench_floor")
    opening = f"A measurement.\ntaor-script: bench-{turns}\ntaor-build: {name}\n"
    before = read_cpu(home.options)
    with tempfile.TemporaryDirectory(prefix="taor-bench-floor-", dir=home.options.data.parent) as project:
        command = (sys.executable, "-P", "-m", "tests.bench.bare_loop", home.endpoints.model, dsn, opening)
        process = await asyncio.create_subprocess_exec(*command, cwd=project, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the floor ended with status {process.returncode}")
    used = read_cpu(home.options).since(before)
    taken, loop_seconds, command_seconds = output.split()
    assert int(taken) == turns
    parts = {"loop": float(loop_seconds), "commands": float(command_seconds)}
    return Round(_turns(home, name), _milliseconds(parts | {"postgres": used.postgres, "model": used.model}, turns))


def _turns(home: Home, build: str) -> list[float]:
    assert home.endpoints.model_record is not None
    return turn_milliseconds(home.endpoints.model_record, build)


def _milliseconds(seconds: dict[str, float], turns: int) -> dict[str, float]:
    return {part: spent * 1000 / turns for part, spent in seconds.items()}
