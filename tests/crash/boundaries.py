"""The boundaries of a service: where it touches a database, another service, a sandbox or a store.

`install(service, folder)` wraps those touches from outside, in this process only. While FOLDER/record exists, each
boundary passed is written down; while FOLDER/armed names one, the process kills itself there.
"""

import contextlib
import functools
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg

from taor_chassis import client

ARMED, FIRED, RECORD = "armed", "fired", "record"
# What a service does by itself at any time, and what people look at: no step of a build.
BACKGROUND = re.compile(
    r"claim_builds|lease_until|wake_due|wake_richer|expire_one|pg_advisory|LISTEN|kept_until|reap|^SELECT 1$"
    r"|FROM documents|FROM requests|FROM inbox|FROM events|FROM builds WHERE tenant_id"
    r"|deleted_projects|hold_project|give_up_|purge_some|finish_deletions"
)
# Calls of people and audits.
OUTSIDE = re.compile(r"StartBuild|GetBuild|ListBuilds|WatchBuild|InspectBuild|List\w+|GetAllowance|ReadLog|GetS\w+")


class Boundaries:
    """Counts, records and kills."""

    def __init__(self, service: str, folder: Path) -> None:
        self._service = service
        self._armed = folder / ARMED
        self._fired = folder / FIRED
        self._record = folder / RECORD
        self._trace = folder / f"trace.{service}.{os.getpid()}"
        self._passed: Counter[str] = Counter()
        self._order = ""

    def passed(self, label: str) -> None:
        """The process stands at this boundary now."""
        if self._record.exists():
            with self._trace.open("a") as lines:
                lines.write(f"{label}\n")
        try:
            order = self._armed.read_text()
        except FileNotFoundError:
            return
        if order != self._order:
            self._order = order
            self._passed.clear()
        self._passed[label] += 1
        wanted = json.loads(order)
        if (wanted["service"], wanted["label"], wanted["occurrence"]) == (self._service, label, self._passed[label]):
            with contextlib.suppress(FileNotFoundError):  # another process of this service was faster
                self._armed.rename(self._fired)
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, label: str, act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`act` with a boundary before and after it; it is after also when it fails."""

        @functools.wraps(act)
        async def wrapped(*arguments: Any, **options: Any) -> Any:
            self.passed(f"{label} before")
            try:
                return await act(*arguments, **options)
            finally:
                self.passed(f"{label} after")

        return wrapped


def install(service: str, folder: Path) -> None:
    """Wrap the touches of this process; call it before the service starts."""
    boundaries = Boundaries(service, folder)
    _wrap_database(boundaries)
    _wrap_calls(boundaries)
    if service == "sandbox":
        _wrap_sandbox(boundaries)


def _wrap_database(boundaries: Boundaries) -> None:
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        original = getattr(asyncpg.Connection, name)

        def wrapped(self: Any, query: str, *args: Any, _original: Any = original, **options: Any) -> Awaitable[Any]:
            if BACKGROUND.search(query):
                return _original(self, query, *args, **options)  # type: ignore[no-any-return] # as asyncpg has it
            act = boundaries.around(f"sql {_statement(query)}", _original)
            return act(self, query, *args, **options)

        setattr(asyncpg.Connection, name, wrapped)


def _statement(query: str) -> str:
    """A short name of a statement: the function it calls, or its verb and table."""
    called = re.search(r"\b(?:FROM|SELECT)\s+(\w+)\(", query)
    if called:
        return called[1]
    words = re.search(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|BEGIN|COMMIT)\b[^A-Z]*?(\w+)?", query)
    table = re.search(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)", query)
    return " ".join(part for part in (words[1] if words else query.split()[0], table[1] if table else "") if part)


def _wrap_calls(boundaries: Boundaries) -> None:
    """A call to another service: before it is sent, and after its answer is here."""
    original = client.BoundedChannel._bounded

    def wrapped(self: Any, method: str, call: Any) -> Any:
        bounded, label = original(self, method, call), f"rpc {method.rsplit('/', 1)[1]}"
        if OUTSIDE.search(method):
            return bounded

        def send(*arguments: Any, **options: Any) -> Any:
            boundaries.passed(f"{label} send")
            sent = bounded(*arguments, **options)
            sent.add_done_callback(lambda _: boundaries.passed(f"{label} receive"))
            return sent

        return send

    client.BoundedChannel._bounded = wrapped  # type: ignore[method-assign] # that is what this module is for


def _wrap_sandbox(boundaries: Boundaries) -> None:
    from taor_sandbox.backends.local.backend import LocalBackend
    from taor_sandbox.backends.local.sandbox import LocalSandbox
    from taor_sandbox.blobs.directory import DirectoryBlobs

    steps = {
        LocalBackend: ("create", "attach", "destroy"),
        LocalSandbox: ("raise_epoch", "write_nonce", "claim", "claim_write", "look"),
        DirectoryBlobs: ("put",),
    }
    for owner, names in steps.items():
        for name in names:
            label = f"{owner.__name__} {name}"
            setattr(owner, name, boundaries.around(label, getattr(owner, name)))
