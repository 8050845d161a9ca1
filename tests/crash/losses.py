"""Loses sandboxes beside tool calls, by chance: while FOLDER/losses names a `Plan`, in this process only.

As the boundaries, it wraps the services from outside. Each loss that has struck is a line of FOLDER/struck.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from taor_sandbox.backends.errors import SandboxGone
from taor_sandbox.backends.port import OutputChunk

if TYPE_CHECKING:
    from taor_sandbox.backends.local.backend import LocalBackend
    from taor_sandbox.backends.local.sandbox import LocalSandbox

LOSSES, STRUCK = "losses", "struck"
MOST_BESIDE_SECONDS = 0.03
SNAPSHOT_SHARE = 0.25


class Kind(Enum):
    """What is lost."""

    DESTROYED = "everything, files included"
    KILLED = "all its processes; the files stay"


class Moment(Enum):
    """When, seen from the tool call."""

    BEFORE = "before anything of it has begun"
    BESIDE = "while it runs"
    AFTER = "when its result is recorded, and nobody was told"


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss."""

    kind: Kind
    moment: Moment
    after_seconds: float
    """From the begin of the call on, where the moment is beside it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How often a tool call loses its sandbox, and in which ways; the same seed draws the same calls again."""

    seed: int
    kinds: tuple[Kind, ...]
    share: float = 0.1

    def draw(self, number: int) -> Loss | None:
        """Whether, and how, the tool call of this number loses its sandbox."""
        chance = random.Random(f"{self.seed}/{number}")
        if chance.random() >= self.share:
            return None
        return Loss(chance.choice(self.kinds), chance.choice(tuple(Moment)), chance.uniform(0, MOST_BESIDE_SECONDS))

    def takes_snapshot(self, number: int) -> bool:
        """Whether a snapshot is taken at the turn of this number: by the clock no build of a test would get to one."""
        return random.Random(f"{self.seed}/snapshot/{number}").random() < SNAPSHOT_SHARE

    def write(self, folder: Path) -> None:
        """Let it begin."""
        fields = {**dataclasses.asdict(self), "kinds": [kind.name for kind in self.kinds]}
        (folder / "losses.new").write_text(json.dumps(fields))
        (folder / "losses.new").rename(folder / LOSSES)


class Planned:
    """The plan that holds now, and how many draws it has seen."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / LOSSES
        self._text = ""
        self._number = 0

    def next(self) -> tuple[Plan, int] | None:
        """The plan with the number of this draw; None while nothing is to be lost."""
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            self._text = ""
            return None
        if text != self._text:
            self._text, self._number = text, 0
        self._number += 1
        fields = json.loads(text)
        return Plan(fields["seed"], tuple(Kind[name] for name in fields["kinds"]), fields["share"]), self._number


def install(service: str, folder: Path) -> None:
    """Wrap what this service does; call it before the service starts."""
    if service == "sandbox":
        _wrap_dispatch(Planned(folder), folder / STRUCK)
    if service == "orchestrator":
        _wrap_snapshots(Planned(folder))


def _wrap_dispatch(planned: Planned, struck: Path) -> None:
    from taor_sandbox.backends.local.backend import LocalBackend
    from taor_sandbox.operations import Dispatcher, Finished
    from taor_sandbox.records import Call

    attach, dispatch = LocalBackend.attach, Dispatcher.dispatch
    backends: list[LocalBackend] = []

    async def noted_attach(self: LocalBackend, provider_id: str) -> LocalSandbox:
        backends[:] = [self]
        return await attach(self, provider_id)

    async def dispatch_with_losses(self: Dispatcher, call: Call) -> AsyncIterator[OutputChunk | Finished]:
        found = planned.next()
        loss = found[0].draw(found[1]) if found else None
        if loss is None:
            async for event in dispatch(self, call):
                yield event
            return
        strike = _Strike(backends[0], f"{call.key.build_id}/{call.generation}", loss, struck)
        await strike.begin()
        try:
            async for event in dispatch(self, call):
                if isinstance(event, Finished):
                    await strike.end()
                yield event
        finally:
            await strike.settle()

    LocalBackend.attach = noted_attach  # type: ignore[method-assign] # that is what this module is for
    Dispatcher.dispatch = dispatch_with_losses  # type: ignore[method-assign] # as above


class _Strike:
    """One loss as it happens, never beyond its own call: it must not meet the redo of another loss."""

    def __init__(self, backend: LocalBackend, provider_id: str, loss: Loss, struck: Path) -> None:
        self._backend, self._provider_id, self._loss, self._struck = backend, provider_id, loss, struck
        self._beside: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """The call begins."""
        match self._loss.moment:
            case Moment.BEFORE:
                await self._lose()
            case Moment.BESIDE:
                self._beside = asyncio.ensure_future(self._lose_later())
            case Moment.AFTER:
                pass

    async def end(self) -> None:
        """Its result is recorded."""
        await self.settle()
        if self._loss.moment is Moment.AFTER:
            await self._lose()

    async def settle(self) -> None:
        """Whatever was begun is over."""
        if self._beside is not None:
            await self._beside

    async def _lose_later(self) -> None:
        await asyncio.sleep(self._loss.after_seconds)  # not a wait for something: the seed chose the moment
        await self._lose()

    async def _lose(self) -> None:
        with self._struck.open("a") as lines:
            lines.write(f"{self._loss.kind.name.lower()} {self._loss.moment.name.lower()} a call\n")
        match self._loss.kind:
            case Kind.DESTROYED:
                await self._backend.destroy(self._provider_id)
            case Kind.KILLED:
                with contextlib.suppress(ProcessLookupError, SandboxGone):  # another loss was faster
                    os.kill(self._backend._shelf.folder(self._provider_id).read_state().agent_pid, signal.SIGKILL)


def _wrap_snapshots(planned: Planned) -> None:
    from taor_orchestrator.tenure import Tenure

    snapshot_soon = Tenure.snapshot_soon

    def snapshot_by_plan(self: Tenure) -> None:
        found = planned.next()
        if found and found[0].takes_snapshot(found[1]):
            self._snapshot_due_seconds = 0.0
        snapshot_soon(self)

    Tenure.snapshot_soon = snapshot_by_plan  # type: ignore[method-assign] # that is what this module is for
