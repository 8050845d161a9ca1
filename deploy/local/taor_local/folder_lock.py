"""An exclusive lock on a file: held by whoever has the descriptor, free when the last copy of it is closed."""

import fcntl
import os
import time
from pathlib import Path

POLL_SECONDS = 0.02


def try_lock(path: Path) -> int | None:
    """Lock the file and return its descriptor, or None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def lock(path: Path, *, timeout_seconds: float) -> int | None:
    """Wait for the lock; None when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_SECONDS)
    return descriptor
