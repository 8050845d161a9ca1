"""What the SDK raises, as errors of the port.

Traps that are answered here: a paused sandbox and a dead one give the same 502; `ServiceBusyException` and
`AuthenticationException` are no `SandboxException`; a connection that breaks raises whatever the transport raises.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from e2b.exceptions import (
    AuthenticationException,
    InvalidArgumentException,
    NotEnoughSpaceException,
    RateLimitException,
    SandboxException,
    SandboxNotFoundException,
    SandboxNotRunningException,
    ServiceBusyException,
    TemplateException,
    TimeoutException,
)

from taor_sandbox.backends.e2b.settings import BUSY_PAUSES_SECONDS, PAUSES_SECONDS
from taor_sandbox.backends.errors import (
    BackendError,
    BackendUnavailable,
    FileProblem,
    FileRefused,
    SandboxGone,
    SandboxUnreachable,
)

_CALLERS_FAULT = range(400, 500)
_Result = TypeVar("_Result")


class Passing(SandboxUnreachable):
    """An answer that may be another one in a moment: a full provider, a broken connection."""


class Busy(Passing):
    """E2B is full, or was asked too often: nothing was done, and the sandbox goes on."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise errors of the port instead of the SDK's."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # the adapter's boundary: the SDK lets its transports' own errors through
        raise meaning(error) from error


def meaning(error: Exception) -> BackendError:
    """The port's error for one of the SDK's."""
    match error:
        case SandboxNotFoundException():
            return SandboxGone(str(error))
        case SandboxNotRunningException():
            return SandboxUnreachable("the sandbox is paused or gone")
        case AuthenticationException():
            return BackendUnavailable(f"E2B refused the key; set E2B_API_KEY to a valid one: {error}")
        case TemplateException() | InvalidArgumentException():
            return BackendUnavailable(f"E2B refused the request: {error}")
        case NotEnoughSpaceException():
            return FileRefused(FileProblem.NO_SPACE, str(error))
        case RateLimitException() | ServiceBusyException():
            return Busy(str(error))
        case TimeoutException():
            return Passing(str(error))
        case SandboxException(status_code=int(status)) if status in _CALLERS_FAULT:
            return BackendUnavailable(f"E2B refused the request: {error}")
        case _:
            return Passing(f"E2B did not answer: {error or type(error).__name__}")


async def patiently(
    attempt: Callable[[], Awaitable[_Result]],
    *,
    pauses: Sequence[float] = PAUSES_SECONDS,
    busy_pauses: Sequence[float] = BUSY_PAUSES_SECONDS,
) -> _Result:
    """Make an attempt that may be repeated, again after each passing trouble; raises the last one."""
    repetitions = 0
    while True:
        try:
            with translated():
                return await attempt()
        except Passing as trouble:
            left = (busy_pauses if isinstance(trouble, Busy) else pauses)[repetitions:]
            if not left:
                raise
        await asyncio.sleep(left[0])
        repetitions += 1
