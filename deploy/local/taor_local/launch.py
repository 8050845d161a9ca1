"""How a child process is started: tied to its parent's life, with an environment and an identity of its own."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taor_local import exec_shim
from taor_local.identity import Identity


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that `Popen` or `create_subprocess_exec` needs to start one child."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    inherited_descriptors: tuple[int, ...] = ()


def tied(
    command: Sequence[str | Path], *, death_signal: signal.Signals, identity: Identity | None = None
) -> tuple[str, ...]:
    """Wrap a command so that it gets `death_signal` when this process dies, even by kill -9.

    Start it from the main thread: the kernel watches the thread that forked, not the process.
    """
    uid, gid = (identity.uid, identity.gid) if identity else (-1, -1)
    shim = (sys.executable, "-I", "-S", str(Path(exec_shim.__file__)))
    return (*shim, str(int(death_signal)), str(os.getpid()), str(uid), str(gid), *map(str, command))
