"""A history on a real database, and short ways to say what happens to it."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from taor_chassis.clock import Clock, SystemClock
from taor_chassis.database import running_pool
from taor_checkpoint.deletion import Deletions
from taor_checkpoint.entries import Claim, Kind, LogEntry, ModelCall, NewEntry, SessionId, Usage
from taor_checkpoint.envelope import KEY_BYTES, Key
from taor_checkpoint.history import History
from taor_checkpoint.keyring import Keyring
from taor_checkpoint.store.deletions import DeletionStore
from taor_checkpoint.store.entries import EntryStore, Range
from taor_checkpoint.store.sessions import SessionStore

STARTED = datetime(2026, 7, 1, 12, tzinfo=UTC)
MASTER = Key(bytes(KEY_BYTES))
TENANT = "local"
PROJECT = "project-1"
KEEP = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A migrated database, the history on it, and names that were not used yet."""

    pool: asyncpg.Pool
    history: History
    entries: EntryStore
    sessions: SessionStore
    deletions: Deletions
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def new_build(self) -> SessionId:
        """The name of a build that has no session yet."""
        return SessionId(TENANT, f"build-{next(self._numbers)}")

    async def attached(self, epoch: int = 1) -> SessionId:
        """A new build with an empty log, held at an epoch."""
        build = self.new_build()
        await self.history.attach(claim(build, epoch))
        return build

    async def log(self, build: SessionId) -> list[LogEntry]:
        """All that can be read of a log."""
        head = (await self.history.session(build)).head
        return [entry async for chunk in self.history.read(build, Range(0, head)) for entry in chunk]

    async def wait_until_blocked(self, task: "asyncio.Task[object]", blocked: int) -> None:
        """Wait until so many connections wait for a lock, or the task has ended without one; at most a minute."""
        async with asyncio.timeout(60):
            while not task.done():
                if await self._waiting() >= blocked:
                    return
                await asyncio.sleep(0.005)

    async def _waiting(self) -> int:
        return int(
            await self.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )


@asynccontextmanager
async def running_laboratory(dsn: str, master: Key = MASTER, clock: Clock | None = None) -> AsyncIterator[Laboratory]:
    """A laboratory on a migrated database; it keeps the logs of ended builds for KEEP."""
    async with running_pool(dsn, max_size=8) as pool:
        sessions = SessionStore(pool)
        entries = EntryStore(pool)
        keyring = Keyring(sessions, master, clock or SystemClock())
        deletions = Deletions(DeletionStore(pool), keyring, KEEP)
        yield Laboratory(pool, History(sessions, entries, keyring), entries, sessions, deletions)


def claim(build: SessionId, epoch: int, owner: str | None = None, project_id: str = PROJECT) -> Claim:
    """A claim on a build; each epoch has an owner of its own."""
    return Claim(build, project_id, epoch, owner or f"owner-{epoch}")


def entry(kind: Kind, text: str, *inbox_ids: str, call: ModelCall | None = None) -> NewEntry:
    """An entry with a text as its body."""
    body = text.encode()
    return NewEntry(kind, body, hashlib.sha256(body).digest(), inbox_ids, call)


def head(text: str = "head") -> NewEntry:
    """The entry that opens a segment."""
    return entry(Kind.HEAD, text)


def user(text: str, *inbox_ids: str) -> NewEntry:
    """A user message."""
    return entry(Kind.USER, text, *inbox_ids)


def assistant(text: str, rid: str = "build/1/0") -> NewEntry:
    """An answer of the model."""
    usage = Usage(10, 20, 30, 40, 50)
    request_sha256 = hashlib.sha256(rid.encode()).digest()
    call = ModelCall(rid, request_sha256, "a-model", 1000, usage, "tool_use", "price-1", STARTED)
    return entry(Kind.ASSISTANT, text, call=call)


def outcome() -> NewEntry:
    """The entry that closes a log."""
    return entry(Kind.OUTCOME, "finished")
