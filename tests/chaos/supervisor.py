"""The supervisor of a chaos test: the real parts list, with addresses that the services call replaced by proxies'.

Started by `ensure_up`. What to replace stands in `DETOURS`, a file beside the data folder: a list of
[service, its address, the address of the proxy].
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taor_local.composition import compose
from taor_local.endpoints import plan_endpoints
from taor_local.folders import Folders
from taor_local.part import Part, Stage
from taor_local.session import supervise

PROGRAM = ("-P", str(Path(__file__)))
DETOURS = "detours.json"

Detours = Sequence[tuple[str, str, str]]


def detours_file(data: Path) -> Path:
    """Where the detours of an installation stand."""
    return data.parent / DETOURS


def main() -> int:
    """Supervise until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base-port", type=int, required=True)
    arguments = parser.parse_args()
    folders = Folders(arguments.data)
    endpoints = plan_endpoints(folders, arguments.base_port, os.environ)
    detours = json.loads(detours_file(arguments.data).read_text())
    return supervise(folders, endpoints, lambda: _diverted(compose(folders, endpoints, os.environ), detours))


def _diverted(stages: Sequence[Stage], detours: Detours) -> Sequence[Stage]:
    return [replace(stage, parts=tuple(_divert(part, detours) for part in stage.parts)) for stage in stages]


def _divert(part: Part, detours: Detours) -> Part:
    environment = dict(part.launch.environment)
    for service, address, proxy in detours:
        if service == part.name:
            # What the service itself listens on is another address, so this meets only whom it calls.
            environment = {name: value.replace(address, proxy) for name, value in environment.items()}
    return replace(part, launch=replace(part.launch, environment=environment))


if __name__ == "__main__":
    sys.exit(main())
