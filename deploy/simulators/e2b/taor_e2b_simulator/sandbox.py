"""One sandbox: a folder, the machine that runs in it, and E2B's life cycle around the two."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import os
import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path

from taor_e2b_simulator import view
from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.execution import Execution
from taor_e2b_simulator.machine import EVERYBODY, Machine

MAX_EXECUTIONS = 1_000
END_RETENTION_SECONDS = 30.0
"""How long E2B can tell how a command ended."""


class State(enum.Enum):
    """As E2B names it."""

    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Order:
    """What the create request asked for, as far as it means something here."""

    template: str
    timeout_seconds: float
    pauses_on_timeout: bool
    metadata: dict[str, str]
    env: dict[str, str]
    network: dict[str, object]


@dataclass(slots=True)
class Sandbox:
    """Running, or paused with its processes stopped."""

    sandbox_id: str
    folder: Path
    order: Order
    machine: Machine
    tmp_bytes: int
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    state: State = State.RUNNING
    started_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    ends_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    executions: dict[int, Execution] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def root(self) -> Path:
        """The sandbox's `/`, seen from outside."""
        return self.folder / "disk"

    def outside(self, path: str) -> Path:
        """Where a path of the sandbox stands outside. `..` stops at the root; a link in it is followed outside."""
        inside = path if path.startswith("/") else f"{view.HOME}/{path.removeprefix('~/')}"
        return self.root / os.path.normpath(inside).lstrip("/")

    def inside(self, path: Path) -> str:
        """What a path is called inside."""
        return f"/{path.relative_to(self.root)}"

    def add(self, execution: Execution) -> None:
        """Keep a command until a while after its end."""
        if len(self.executions) >= MAX_EXECUTIONS:
            raise Refused(429, "too many commands")
        self.executions[execution.pid] = execution

    def forget_soon(self, execution: Execution) -> None:
        """Its end was told; it can be asked for a little longer."""
        asyncio.get_running_loop().call_later(END_RETENTION_SECONDS, self.executions.pop, execution.pid, None)

    async def pause(self, *, memory: bool, loses_changes: bool) -> None:
        """Stop everything and save the disk, or keep the copy of the pause before; 409 when it is paused already."""
        async with self.lock:
            if self.state is State.PAUSED:
                raise Refused(409, f"Sandbox {self.sandbox_id} is already paused")
            if memory and not loses_changes:
                self.machine.signal(EVERYBODY, signal.SIGSTOP)
            else:
                await self._shut_down()
            if loses_changes:
                await copy(self._saved, self.root)
            else:
                await copy(self.root, self._saved)
            self.state = State.PAUSED

    async def resume(self, *, memory: bool) -> bool:
        """Let everything go on, or boot anew where no memory was kept; False when it runs already."""
        async with self.lock:
            if self.state is State.RUNNING:
                return False
            if not memory:
                await self._shut_down()
            if self.machine.stopped:
                self.machine = await Machine.boot(self.folder, self.tmp_bytes)
            else:
                self.machine.signal(EVERYBODY, signal.SIGCONT)
            self.state, self.started_at = State.RUNNING, dt.datetime.now(dt.UTC)
            return True

    async def destroy(self) -> None:
        """End everything and delete the folder."""
        async with self.lock:
            await self._shut_down()
            await remove(self.folder)

    @property
    def _saved(self) -> Path:
        return self.folder / "saved"

    async def _shut_down(self) -> None:
        await self.machine.stop()
        self.executions.clear()


async def copy(source: Path, target: Path) -> None:
    """Copy a disk; what was there before is replaced."""
    await remove(target)
    await _run("cp", "--archive", "--reflink=auto", "--", str(source), str(target))


async def remove(path: Path) -> None:
    """Delete a tree of any depth, with folders that even their owner may not enter."""
    if not await _run("rm", "-rf", "--", str(path)):
        await _run("chmod", "-R", "u+rwX", "--", str(path))
        await _run("rm", "-rf", "--", str(path))


async def _run(*argv: str) -> bool:
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.DEVNULL)
    try:
        return await process.wait() == 0
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
