"""How a child process is started: tied to its parent's life, with an environment and an identity of its own."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taor_local import exec_shim
from taor_local.identity import Identity


@dataclass(frozen=True, slots=True)
class Launch:
    """One child as data: what runs, with which environment, as whom, and what happens when we die."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    death_signal: signal.Signals = signal.SIGKILL
    """Sent to the child when its parent dies, even by kill -9."""
    identity: Identity | None = None
    lock: Path | None = None
    """Held by the child and its descendants until the last of them is gone; its start waits for it (15 s at most)."""
    stale: tuple[Path, ...] = ()
    """Files that a crash may have left behind; removed under the lock."""

    def tied_command(self) -> tuple[str, ...]:
        """Give the command that ties the child to this process.

        Start it from the main thread: the kernel watches the thread that forked, not the process.
        """
        uid, gid = (self.identity.uid, self.identity.gid) if self.identity else (-1, -1)
        shim = (sys.executable, "-I", "-S", str(Path(exec_shim.__file__)))
        numbers = (str(int(self.death_signal)), str(os.getpid()), str(uid), str(gid))
        lock = (str(self.lock or ""), str(len(self.stale)), *map(str, self.stale))
        return (*shim, *numbers, *lock, *self.command)
