"""One lease as its worker holds it: good for as long as its last heartbeat is young."""

from __future__ import annotations

import asyncio

from taor_chassis.clock import Clock
from taor_orchestrator.inbox import Signals
from taor_orchestrator.ports import Lease, LeaseLost

LEASE_SECONDS = 8.0
"""How long a build stays with a worker that is not heard of."""
BEAT_SECONDS = 2.0
SAFE_SHARE = 0.7
"""A worker fences itself when this share of its lease has passed without a heartbeat."""


class HeldLease(Lease):
    """Implements the `Lease` port on CLOCK_BOOTTIME, which counts the time a process was stopped or suspended."""

    def __init__(self, clock: Clock, claimed_at_seconds: float) -> None:
        self._clock = clock
        self._good_until_seconds = claimed_at_seconds + SAFE_SHARE * LEASE_SECONDS
        self._cancel_requested = asyncio.Event()
        self._pause_requested = asyncio.Event()
        self._inbox_waiting = asyncio.Event()
        self._handing_over = asyncio.Event()

    @property
    def cancel_requested(self) -> asyncio.Event:
        """Set as soon as a cancellation is seen."""
        return self._cancel_requested

    @property
    def pause_requested(self) -> asyncio.Event:
        """Set while a pause is asked for."""
        return self._pause_requested

    @property
    def inbox_waiting(self) -> asyncio.Event:
        """Set as soon as a text of a person is seen."""
        return self._inbox_waiting

    def hear(self, signals: Signals) -> None:
        """Take over what the row tells; only a pause can be taken back."""
        if signals.cancel_requested:
            self._cancel_requested.set()
        if signals.pause_requested:
            self._pause_requested.set()
        else:
            self._pause_requested.clear()
        if signals.inbox_waiting:
            self._inbox_waiting.set()

    @property
    def handing_over(self) -> asyncio.Event:
        """Set when this process stops."""
        return self._handing_over

    @property
    def is_fresh(self) -> bool:
        """Whether the build is certainly still ours."""
        return self._clock.boottime_seconds() < self._good_until_seconds

    def check(self) -> None:
        """Raise `LeaseLost` unless the lease is fresh."""
        if not self.is_fresh:
            raise LeaseLost("no heartbeat for too long")

    def renew(self, asked_at_seconds: float) -> None:
        """A heartbeat that was sent at `asked_at_seconds` was good."""
        self._good_until_seconds = asked_at_seconds + SAFE_SHARE * LEASE_SECONDS
