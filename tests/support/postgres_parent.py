"""A parent to be killed: `postgres_parent.py HOME PASSWORD` starts PostgreSQL, prints the child's number, and waits."""

import signal
import subprocess
import sys
from pathlib import Path

from taor_local import postgres


def main() -> None:
    """Start the server on a folder that `initialise` made."""
    home = Path(sys.argv[1])
    launch = postgres.launch(postgres.Cluster(home, home / "socket", sys.argv[2]))
    with (home.parent / "server.log").open("ab") as log:
        child = subprocess.Popen(launch.tied_command(), env=dict(launch.environment), stdout=log, stderr=log, cwd="/")
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
