"""`./taor bench [NAME…]`: measures taor on this machine and prints what was aimed at and what was reached.

It never fails because something was slow: a slow machine is no broken promise, and the figures say how slow it was.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import FrameType

from tests.bench import append, exec, fleet, ledger, snapshot, turn, watchers
from tests.bench.figures import Figure
from tests.bench.home import Home, running_home
from tests.bench.machine import describe
from tests.bench.progress import tell
from tests.bench.report import as_json, as_table

Benchmark = Callable[[Home], Awaitable[list[Figure]]]
BENCHMARKS: Mapping[str, Benchmark] = {
    "turn": turn.measure,
    "fleet": fleet.measure,
    "ledger": ledger.measure,
    "append": append.measure,
    "exec": exec.measure,
    "watchers": watchers.measure,
    "snapshot": snapshot.measure,
}


def main() -> None:
    """Run the benchmarks that are named, or all, on one installation."""
    parser = argparse.ArgumentParser(prog="taor bench", description="Measure taor on this machine.")
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"which to run: {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="less of everything: shows that it runs, measures little")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    options = parser.parse_args()
    if unknown := [name for name in options.name if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; known are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, _leave)
    sys.stdout.write(_run(options.name or tuple(BENCHMARKS), quick=options.quick, json=options.json))


def _run(names: Sequence[str], *, quick: bool, json: bool) -> str:
    began = time.monotonic()
    with running_home(quick=quick) as home:
        machine = describe(home.options.data, asyncio.run(home.fsync()))
        figures = [figure for name in names for figure in asyncio.run(_measured(name, home))]
    return (as_json if json else as_table)(figures, machine, time.monotonic() - began)


async def _measured(name: str, home: Home) -> list[Figure]:
    tell(f"{name}: begins")
    return await BENCHMARKS[name](home)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # so that the installation is stopped on the way out


if __name__ == "__main__":
    main()
