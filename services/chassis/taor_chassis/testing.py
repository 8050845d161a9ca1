"""Time and ids for tests: the ports of `clock`, moved by hand."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._seconds = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass on all three clocks."""
        self._seconds += seconds

    def now(self) -> datetime:
        """The start plus all that passed."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic_seconds(self) -> float:
        """All that passed."""
        return self._seconds

    def boottime_seconds(self) -> float:
        """All that passed."""
        return self._seconds


class CountingIds:
    """Ids in the form of a UUID that count from 1."""

    def __init__(self) -> None:
        self._count = 0

    def uuid7(self) -> str:
        """The next id."""
        self._count += 1
        return f"00000000-0000-7000-8000-{self._count:012d}"
