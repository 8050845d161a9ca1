"""The supervisor of a crash test: the real parts list, with the services under `killable`. Started by `ensure_up`."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taor_local import child
from taor_local.composition import SERVICES, compose
from taor_local.endpoints import plan_endpoints
from taor_local.folders import Folders
from taor_local.part import Part, Stage
from taor_local.session import supervise

ROOT = Path(__file__).parents[2]
PROGRAM = ("-P", str(Path(__file__)))


def boundaries_folder(data: Path) -> Path:
    """Where orders and traces lie."""
    return data / "boundaries"


def main() -> int:
    """Supervise until SIGTERM."""
    child.pause_before_restart = _no_pause
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base-port", type=int, required=True)
    arguments = parser.parse_args()
    folders = Folders(arguments.data)
    endpoints = plan_endpoints(folders, arguments.base_port, os.environ)
    orders = boundaries_folder(arguments.data)
    orders.mkdir(parents=True, exist_ok=True)
    return supervise(folders, endpoints, lambda: _killable(compose(folders, endpoints, os.environ), orders))


def _no_pause(recent_restarts: int) -> float:
    """It grows with every restart, and a sweep consists of restarts."""
    return 0.0


def _killable(stages: Sequence[Stage], orders: Path) -> Sequence[Stage]:
    return [replace(stage, parts=tuple(_wrap(part, orders) for part in stage.parts)) for stage in stages]


def _wrap(part: Part, orders: Path) -> Part:
    if part.name not in SERVICES:
        return part
    environment = {**part.launch.environment, "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-P", "-m", "tests.crash.killable", str(orders), part.name, "serve")
    return replace(part, launch=replace(part.launch, command=command, environment=environment))


if __name__ == "__main__":
    sys.exit(main())
