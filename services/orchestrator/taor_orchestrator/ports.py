"""What the loop needs from the rest of the orchestrator; the services behind their clients stand in `clients/`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from taor_orchestrator.build import BuildState, Claim
from taor_orchestrator.history import Entry


class LeaseLost(Exception):
    """Another worker holds the build, or may: nothing more may be written or sent for it by this one."""


class Lease(Protocol):
    """The right of this process to work on one build."""

    def check(self) -> None:
        """Raise `LeaseLost` unless the last good heartbeat is younger than 0.7 of the lease; the last act before a send."""
        ...

    @property
    def cancel_requested(self) -> asyncio.Event:
        """Set as soon as a cancellation of the build is seen (by NOTIFY or by the heartbeat, within 2 s)."""
        ...

    @property
    def handing_over(self) -> asyncio.Event:
        """Set when this process stops: the tenure ends at the next turn boundary."""
        ...


@dataclass(frozen=True, slots=True)
class Denied:
    """What a denied reservation told: by whose doing, and until when."""

    state: BuildState
    account_version: int
    wake_time: datetime


class Builds(Protocol):
    """The row of the build, fenced by the claim's epoch."""

    async def project(self, claim: Claim, entries: Sequence[Entry], spent_microdollars: int) -> None:
        """Derive events, documents, inbox marks, counters and state from `entries`, in one transaction.

        Idempotent by log sequence. `spent_microdollars` is what the budget last told; 0 for unknown. An OUTCOME entry
        ends the build. Raises `LeaseLost` when the epoch has moved.
        """
        ...

    async def projected_sequence(self, claim: Claim) -> int:
        """The log entry up to which the build is projected."""
        ...

    async def wake_generation(self, claim: Claim) -> int:
        """How often the build was woken; read it before the reservation whose denial would lead to `rest`."""
        ...

    async def rest(self, claim: Claim, denied: Denied, wake_generation: int) -> bool:
        """Put the build to rest and delete its ticket, unless it was woken or taken since: then False, and look again."""
        ...

    async def cancel_item(self, claim: Claim) -> str | None:
        """The inbox id of the unread cancellation, if one stands."""
        ...
