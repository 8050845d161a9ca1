"""A supervisor over a real PostgreSQL and two stand-in parts, started the way `ensure_up` starts the real one.

TAOR_STAND_IN in the environment changes it: `fail` makes the second part end at once, `deaf` makes it never serve,
`stubborn` makes it ignore SIGTERM; `orphan` leaves a process behind in a session of its own.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from taor_local import environment, postgres
from taor_local.databases import ensure_databases, read_or_make_passwords
from taor_local.endpoints import Endpoints, plan_endpoints
from taor_local.folders import Folders
from taor_local.launch import Launch
from taor_local.part import Chore, Part, Stage
from taor_local.probes import PostgresProbe, TcpProbe
from taor_local.session import supervise

PART = Path(__file__).with_name("stand_in_part.py")
ROLES = ("taor_first", "taor_second")
ORPHAN = "import subprocess, sys; subprocess.Popen(['sleep', '300'], start_new_session=True)"


def compose(folders: Folders, endpoints: Endpoints) -> Sequence[Stage]:
    """Lay out PostgreSQL, then `first` and `second`."""
    passwords = read_or_make_passwords(folders.passwords, ROLES)
    cluster = postgres.Cluster(folders.postgres, folders.socket_folder(), passwords[postgres.SUPERUSER])
    postgres.initialise(cluster)

    async def prepare() -> None:
        await ensure_databases(cluster, passwords, ROLES)

    wish = os.environ.get("TAOR_STAND_IN", "")
    flags = {"fail": ("--fail",), "deaf": ("--deaf",), "stubborn": ("--ignore-sigterm",)}.get(wish, ())
    chores = (Chore("first", Launch((sys.executable, "-c", ORPHAN))),) if wish == "orphan" else ()
    parts = (_part("first", endpoints.budget), _part("second", endpoints.orchestrator, *flags))
    return (
        Stage("starting PostgreSQL", (Part("postgres", postgres.launch(cluster), PostgresProbe(cluster)),)),
        Stage("starting the stand-ins", parts, prepare, chores),
    )


def _part(name: str, address: str, *flags: str) -> Part:
    variables = environment.for_service(name, os.environ)
    return Part(
        name, Launch((sys.executable, str(PART), address, *flags), variables), TcpProbe(address), stop_seconds=1
    )


def main() -> int:
    """Supervise until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base-port", type=int, required=True)
    arguments = parser.parse_args()
    folders = Folders(arguments.data)
    endpoints = plan_endpoints(folders, arguments.base_port, os.environ)
    return supervise(folders, endpoints, lambda: compose(folders, endpoints))


if __name__ == "__main__":
    sys.exit(main())
