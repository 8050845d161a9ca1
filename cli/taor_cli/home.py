"""The supervisor of this machine, as commands use it: its progress is told, its errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taor_cli.exits import ThingFailedError
from taor_cli.options import Invocation

if TYPE_CHECKING:  # imported where it is used: a command with --target needs nothing of it
    from taor_local.endpoints import Endpoints
    from taor_local.options import Options


def bring_up(invocation: Invocation, base_port: int | None = None) -> "Endpoints":
    """Start the installation unless it is up; tells each step. ThingFailedError says what to do."""
    from taor_local.installation import ensure_up, status

    output = invocation.output
    with _our_errors():
        options = _options(invocation, base_port)
        if not status(options).is_supervised():
            output.say("starting taor", error=True)
        return ensure_up(options, lambda step: output.say(f"  {step}", error=True))


def bring_down(invocation: Invocation) -> bool:
    """Stop the installation; False when nothing ran."""
    from taor_local.installation import down

    with _our_errors():
        return down(_options(invocation, None))


def _options(invocation: Invocation, base_port: int | None) -> "Options":
    from taor_local.folders import default_data_folder
    from taor_local.options import DEFAULT_BASE_PORT, Options

    return Options(data=invocation.wanted.data or default_data_folder(), base_port=base_port or DEFAULT_BASE_PORT)


@contextmanager
def _our_errors() -> Iterator[None]:
    from taor_local.errors import LocalError

    try:
        yield
    except LocalError as error:
        raise ThingFailedError(str(error), reason=type(error).__name__) from error
