"""How often E2B is asked again: long while it says itself that it is busy, and not for long where calls just break."""

import asyncio

import pytest
from e2b.exceptions import AuthenticationException, RateLimitException, ServiceBusyException, TimeoutException

from taor_sandbox.backends.e2b.settings import BUSY_PAUSES_SECONDS, PAUSES_SECONDS
from taor_sandbox.backends.e2b.troubles import patiently
from taor_sandbox.backends.errors import BackendError

RATE_LIMITED = RateLimitException("429")  # type: ignore[no-untyped-call] # the SDK leaves it untyped


def attempts(error: Exception, failures: int) -> tuple[int, bool]:
    """How many attempts there are against so many failures, and whether the last one succeeds."""
    made = 0

    async def attempt() -> None:
        nonlocal made
        made += 1
        if made <= failures:
            raise error

    try:
        asyncio.run(patiently(attempt, pauses=(0.0,), busy_pauses=(0.0,) * 5))
    except BackendError:
        return made, False
    return made, True


@pytest.mark.parametrize("busy", [RATE_LIMITED, ServiceBusyException("503", 503)])
def test_what_is_busy_is_asked_for_long(busy: Exception) -> None:
    assert attempts(busy, 5) == (6, True)
    assert attempts(busy, 6) == (6, False)


@pytest.mark.parametrize("broken", [TimeoutException("late"), ConnectionError("reset")])
def test_what_breaks_is_asked_again_for_a_moment(broken: Exception) -> None:
    assert attempts(broken, 1) == (2, True)
    assert attempts(broken, 2) == (2, False)


def test_what_is_refused_is_not_asked_again() -> None:
    assert attempts(AuthenticationException("no"), 1) == (1, False)


def test_a_busy_e2b_gets_a_minute() -> None:
    assert sum(PAUSES_SECONDS) < 3
    assert sum(BUSY_PAUSES_SECONDS) > 60
