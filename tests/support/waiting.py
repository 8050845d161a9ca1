"""Waiting for something that another process does: polled, bounded, without fixed sleeps."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], what: str, *, timeout_seconds: float = 60.0) -> float:
    """Return the seconds that it took until the condition held. Raises AssertionError when it never did."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < timeout_seconds, f"not within {timeout_seconds} s: {what}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - start
