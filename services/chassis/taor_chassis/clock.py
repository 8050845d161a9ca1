"""Where time and ids come from: ports for the pure code, and the system's own adapters."""

import os
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; tests put their own in its place."""

    def now(self) -> datetime:
        """The wall time in UTC, for people and records."""
        ...

    def monotonic_seconds(self) -> float:
        """Seconds that never run backwards; they stand still while the machine is suspended."""
        ...

    def boottime_seconds(self) -> float:
        """Seconds since boot, suspension included: the only safe measure of a lease."""
        ...


class Ids(Protocol):
    """Makes identifiers; tests put their own in its place."""

    def uuid7(self) -> str:
        """A new id that sorts by the time of its making."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall time in UTC."""
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def boottime_seconds(self) -> float:
        """Seconds of CLOCK_BOOTTIME; macOS has none, but counts suspension in CLOCK_MONOTONIC."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SystemIds:
    """Ids from the wall time and the system's randomness."""

    def uuid7(self) -> str:
        """A UUID version 7 (RFC 9562) with the fraction of the millisecond in rand_a (its method 3)."""
        milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
        fraction = (rest_ns << 12) // 1_000_000
        random_bits = int.from_bytes(os.urandom(8)) >> 2
        return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random_bits))
