"""How long a call may still take: given by its client, inherited by every call made on its behalf."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from taor_chassis.errors import DeadlineRequired

# On time.monotonic(); infinite where no call is being handled.
_deadline: ContextVar[float] = ContextVar("taor_deadline", default=math.inf)


def remaining_seconds() -> float:
    """Seconds left of the call being handled, never below zero; infinite outside of one."""
    return max(_deadline.get() - time.monotonic(), 0.0)


def capped(timeout_seconds: float) -> float:
    """The timeout, shortened to what the call being handled has left."""
    return min(timeout_seconds, remaining_seconds())


def begin(time_remaining: float | None) -> None:
    """Take over the deadline of an arriving call for the rest of this task; refuses a call without one."""
    if time_remaining is None:
        raise DeadlineRequired("send a deadline with every call, for instance `grpcurl -max-time 10`")
    _deadline.set(time.monotonic() + time_remaining)


@contextmanager
def detached() -> Iterator[None]:
    """Start tasks in here that outlive the call being handled: they inherit no deadline."""
    token = _deadline.set(math.inf)
    try:
        yield
    finally:
        _deadline.reset(token)
