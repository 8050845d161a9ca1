"""The parts of an installation as data: what to start, how to see that it serves, and in which order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from taor_local.launch import Launch
from taor_local.probes import Probe


@dataclass(frozen=True, slots=True)
class Part:
    """A process that runs as long as the installation is up; it comes back by itself after a crash."""

    name: str
    launch: Launch
    probe: Probe
    start_seconds: float = 45.0
    """How long it may take until it serves for the first time."""
    stop_seconds: float = 10.0
    """How long it may take after its stop signal, before it is killed."""


@dataclass(frozen=True, slots=True)
class Chore:
    """A process that must end well before the parts of its stage start, for example a migration."""

    name: str
    launch: Launch


async def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Parts that start side by side, after everything of the stages before serves. They stop in reverse order."""

    message: str
    """Shown to the person who waits."""
    parts: tuple[Part, ...]
    prepare: Callable[[], Awaitable[None]] = nothing
    chores: tuple[Chore, ...] = ()
