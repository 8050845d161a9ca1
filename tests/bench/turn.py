"""`turn`: what taor adds to a turn when the model takes no time, beside a bare loop in the same run."""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taor_cli.clients import connect
from tests.bench.builds import Builds
from tests.bench.figures import Figure, Reference, at_most
from tests.bench.home import Home
from tests.bench.model import milliseconds_by_turn
from tests.bench.processes import CpuSeconds, read_cpu
from tests.bench.progress import tell
from tests.bench.record import around, turn_milliseconds

BARE_LOOP = Path(__file__).with_name("bare_loop.py")
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


async def measure(home: Home) -> list[Figure]:
    """Let the floor and taor take turns, so that a busy moment of the machine meets both."""
    turns, rounds = (QUICK_TURNS, QUICK_ROUNDS) if home.quick else (TURNS, ROUNDS)
    floor, ours, model = [], [], []
    async with connect(home.addresses) as clients:
        builds = Builds(clients.orchestrator)
        for number in range(1, rounds + 1):
            tell(f"turn: {turns} turns of the floor, of taor, of the scripted model alone ({number} of {rounds})")
            floor.append(await _floor_round(home, turns, number))
            ours.append(await _taor_round(home, builds, turns))
            model.append(await asyncio.to_thread(milliseconds_by_turn, home.endpoints.model, f"bench-{turns}"))
    return [*_latency(ours, floor, model), *_growth(ours, floor, model), *_processor(ours, floor)]


def _latency(ours: Sequence[Round], floor: Sequence[Round], model: Sequence[list[float]]) -> list[Figure]:
    own, bare = _middle(ours).mean, _middle(floor).mean
    alone = statistics.median(statistics.fmean(turns) for turns in model)
    return [
        Figure("turn", "wall per turn", own, "ms", Reference("floor", bare), at_most(MOST_TIMES_FLOOR)),
        Figure("turn", "  of that the scripted model", alone, "ms"),
        Figure("turn", "  without it", own - alone, "ms", Reference("floor", bare - alone)),
    ]


def _growth(ours: Sequence[Round], floor: Sequence[Round], model: Sequence[list[float]]) -> list[Figure]:
    late = min(LATE, len(ours[0].turns) - 5)

    def at(turn: int, rounds: Sequence[Round]) -> float:
        return statistics.median(around(each.turns, turn) for each in rounds)

    def alone(turn: int) -> float:
        return statistics.median(around(turns, turn) for turns in model)

    early = Reference(f"turn {EARLY}", at(EARLY, ours) - alone(EARLY))
    name = f"turn {late}, without the model"
    return [
        Figure("turn", name, at(late, ours) - alone(late), "ms", early, at_most(MOST_GROWTH)),
        Figure("turn", "  with it", at(late, ours), "ms", Reference(early.name, at(EARLY, ours))),
        Figure("turn", "  the floor, with it", at(late, floor), "ms", Reference(early.name, at(EARLY, floor))),
    ]


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
        command = (sys.executable, BARE_LOOP, home.endpoints.model, dsn, opening)
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
