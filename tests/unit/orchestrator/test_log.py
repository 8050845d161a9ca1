"""How entries of the log go out: what somebody waits for at once, results with the answer that follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from taor_orchestrator import log
from taor_orchestrator.build import Claim
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.log import Log
from taor_orchestrator.projector import Projector
from tests.unit.orchestrator import world
from tests.unit.orchestrator.world import SCRIPT, Switch, World

NEVER_SECONDS = 3600.0


@dataclass
class Checkpoint(world.Checkpoint):
    """Keeps how many entries came with each append."""

    sizes: list[int] = field(default_factory=list)
    went: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, claim: Claim, head: int, entries: Sequence[Entry]) -> None:
        await super().append(claim, head, entries)
        self.sizes.append(len(entries))
        self.went.set()


@dataclass
class Stage:
    """A log that has just been opened, and what it writes to."""

    log: Log
    checkpoint: Checkpoint

    def draft(self, body: bytes = b"{}") -> Entry:
        return self.log.draft(EntryKind.USER, body)


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Results trail for as long as nothing follows them."""
    monkeypatch.setattr(log, "TRAIL_SECONDS", NEVER_SECONDS)
    memory, switch = World(SCRIPT), Switch()
    claim, ports = memory.claim(), memory.ports(switch)
    checkpoint = Checkpoint(memory, switch)
    opened = Log(claim, checkpoint, Projector(claim, ports.builds, ports.lease), History())
    yield Stage(opened, checkpoint)
    await opened.close()


async def test_what_trails_goes_with_the_next_entry_and_before_it(stage: Stage) -> None:
    results = stage.draft(b'"results"')
    stage.log.trail(results)
    answer = stage.draft(b'"answer"')
    await stage.log.append(answer)
    assert stage.checkpoint.sizes == [2]
    assert stage.checkpoint.world.log == [results, answer]


async def test_a_flush_does_not_leave_it_behind(stage: Stage) -> None:
    stage.log.trail(stage.draft())
    await stage.log.flush()
    assert stage.checkpoint.sizes == [1]
    assert stage.checkpoint.world.projected == 1


async def test_when_nothing_follows_it_goes_by_itself(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "TRAIL_SECONDS", 0.0)
    stage.log.trail(stage.draft())
    async with asyncio.timeout(10):
        await stage.checkpoint.went.wait()
    await stage.log.append(stage.draft())
    assert stage.checkpoint.sizes == [1, 1]


async def test_a_long_one_does_not_wait_for_company(stage: Stage) -> None:
    stage.log.trail(stage.draft(b" " * (log.MAX_TRAIL_BYTES + 1)))
    await stage.log.append(stage.draft())
    assert stage.checkpoint.sizes == [1, 1]
