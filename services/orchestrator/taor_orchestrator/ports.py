"""What the loop needs from the rest of the world: other services, the build's own row, the lease, the clock."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from taor_chassis.clock import Clock
from taor_orchestrator.build import BuildState, Claim
from taor_orchestrator.history import Entry, History
from taor_orchestrator.inbox import InboxText, Signals
from taor_orchestrator.livetext import CallName
from taor_orchestrator.model.port import Delta, Model
from taor_orchestrator.money import Allowance, Forecast, Hold, Need, Reserved, Settlement
from taor_orchestrator.toolset import Operation, ToolInput
from taor_orchestrator.transcript import ToolAnswer

NO_FORECASTS: Mapping[int, Forecast] = MappingProxyType({})


class LeaseLost(Exception):
    """Another worker holds the build, or may: nothing more may be written or sent for it by this one."""


class CancelSeen(Exception):
    """The user has cancelled the build: nothing more is called or run, and it is closed."""


class StaleGeneration(Exception):
    """The sandbox was replaced since this worker attached to it: attach again, and dispatch again under the same id."""


class DependencyDown(Exception):
    """A service did not come back within the patience of the loop: the build goes back to the queue as it is."""


class NothingBegun(DependencyDown):
    """It stayed away while the build was taken over: nothing of the build was tried, so it is not to blame."""


class Lease(Protocol):
    """The right of this process to work on one build."""

    def check(self) -> None:
        """Raise `LeaseLost` unless the last heartbeat is younger than 0.7 of the lease; the last act before a send."""
        ...

    @property
    def cancel_requested(self) -> asyncio.Event:
        """Set as soon as a cancellation of the build is seen (by NOTIFY or by the heartbeat, within 2 s)."""
        ...

    @property
    def pause_requested(self) -> asyncio.Event:
        """Set while a pause of the build is asked for; it begins at the next turn boundary."""
        ...

    @property
    def inbox_waiting(self) -> asyncio.Event:
        """Set as soon as people have told the build something; whoever reads it clears this first."""
        ...

    def hear(self, signals: Signals) -> None:
        """The build's row tells what waits for its worker."""
        ...

    @property
    def handing_over(self) -> asyncio.Event:
        """Set when this process stops: the tenure ends at the next turn boundary."""
        ...


class Checkpoint(Protocol):
    """The history of builds. A stale epoch or a moved head raises `LeaseLost`."""

    async def attach(self, claim: Claim) -> History:
        """Raise the fence to the claim's epoch and read the log under it."""
        ...

    async def append(self, claim: Claim, head: int, entries: Sequence[Entry]) -> None:
        """Append `entries` after `head`; the same again is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Holds:
    """The reservations that a take-over finds, and the allowance of the account."""

    holds: tuple[Hold, ...]
    allowance: Allowance


class Budget(Protocol):
    """The money of builds. A stale epoch raises `LeaseLost`, except where the protocol returns it as a denial."""

    async def attach(self, claim: Claim) -> Holds:
        """Raise the fence and tell the holds that are open, or were charged for their age."""
        ...

    async def reserve(self, claim: Claim, need: Need) -> Reserved:
        """Set money aside for one call."""
        ...

    async def advance(self, claim: Claim, settlement: Settlement, need: Need) -> Reserved:
        """Settle a call and set money aside for the next, in one commit."""
        ...

    async def settle(self, claim: Claim, settlement: Settlement) -> Allowance:
        """Book what a call has used; no usage books its whole hold."""
        ...

    async def release(self, claim: Claim, rid: str, reason: str) -> None:
        """Give back the hold of a call that was never sent, or was refused unbilled."""
        ...

    async def charge(self, claim: Claim, rid: str, reason: str) -> Allowance:
        """Book the whole hold of a call whose outcome nobody knows."""
        ...

    async def forecast(self, claim: Claim, finished_turns: Sequence[int]) -> Forecast | None:
        """How the build may go on, judged by how many turns finished ones took; None after too few calls."""
        ...


@dataclass(frozen=True, slots=True)
class Attached:
    """The sandbox of a build, and the operations whose fate matters."""

    generation: int
    operations: tuple[Operation, ...]


class Fate(enum.Enum):
    """What happens to the sandbox when the build needs it no more."""

    PAUSE = "PAUSE"
    KEEP_FOR_PREVIEW = "KEEP_FOR_PREVIEW"
    DESTROY = "DESTROY"


class Sandbox(Protocol):
    """The effects of builds. A stale epoch raises `LeaseLost`, a replaced sandbox `StaleGeneration`."""

    async def attach(self, claim: Claim, attach_number: int, tail_sequence: int) -> Attached:
        """Raise the fence, and see to it that a sandbox is there or on its way."""
        ...

    async def dispatch(
        self, claim: Claim, generation: int, op_id: str, log_sequence: int, tool: ToolInput
    ) -> ToolAnswer:
        """Run one tool call, once; the same id again follows it or repeats its result."""
        ...

    async def cancel(self, claim: Claim, generation: int, op_id: str) -> bool:
        """Kill the command of a running tool call; False when the call has never begun, and must not any more."""
        ...

    async def snapshot(self, claim: Claim, generation: int) -> None:
        """Take a snapshot of the project's files."""
        ...

    async def release(self, claim: Claim, generation: int, fate: Fate) -> None:
        """End the use of the sandbox, with a last snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class Rest:
    """Why and how long a build rests."""

    state: BuildState
    denied_version: int
    at_least_seconds: float
    not_before: datetime | None = None
    forecast: Forecast | None = None


class Builds(Protocol):
    """The row of the build in the orchestrator's own database, fenced by the claim's epoch."""

    async def project(
        self, claim: Claim, history: History, spent_microdollars: int, forecasts: Mapping[int, Forecast] = NO_FORECASTS
    ) -> None:
        """Derive events, documents, inbox marks, counters and state from every entry above the build's cursor.

        One transaction, idempotent. `spent_microdollars` is what the budget last told; 0 leaves it as it is.
        `forecasts` go with the events of the entries that they are for. An OUTCOME entry ends the build. Raises
        `LeaseLost` when the epoch has moved.
        """
        ...

    async def wake_generation(self, claim: Claim) -> int:
        """How often the build was woken; read it before the reservation whose denial would lead to `rest`."""
        ...

    async def rest(self, claim: Claim, rest: Rest, wake_generation: int) -> datetime | None:
        """Put the build to rest; when it wakes by itself, or None when it was woken or taken since: look again."""
        ...

    async def wait(self, claim: Claim, state: BuildState, wake_generation: int) -> bool:
        """Let the build wait for people, PAUSED or WAITING_ANSWER; False when something has come up: look again."""
        ...

    async def finished_turns(self, claim: Claim) -> Sequence[int]:
        """How many turns the newest builds of the same user took that have succeeded."""
        ...

    async def unread(self, claim: Claim) -> Sequence[InboxText]:
        """The texts of people that are not marked as read, oldest first; the marks may lag behind the log."""
        ...

    async def signals(self, claim: Claim) -> Signals:
        """What waits for the worker of the build."""
        ...

    async def cancel_item(self, claim: Claim) -> str | None:
        """The inbox id of the unread cancellation, if one stands."""
        ...


class Voice(Protocol):
    """Tells the words of a running call to those who watch."""

    def is_read(self, build_id: str) -> bool:
        """Whether anybody watches the build here."""
        ...

    def teller(self, call: CallName) -> Callable[[Delta], None]:
        """What the pieces of a call are told to; it takes no time."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that a tenure works with."""

    model: Model
    checkpoint: Checkpoint
    budget: Budget
    sandbox: Sandbox
    builds: Builds
    lease: Lease
    clock: Clock
    voice: Voice | None = None
    """Who watches the words of calls while they run; None where nobody ever does."""
