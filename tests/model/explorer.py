"""Visits every state that a model can reach, breadth first, and tells by the shortest way how a promise is broken.

A *step* is what a part does by itself: one transaction, or one act outside a database. A *fault* is what the world does
to the parts; a model bounds how many there may be, and nothing else. A worker that died is one that takes no step any
more, and one that was stalled takes its next step late: both are among the orders in which steps can follow.
"""

import enum
from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

World = TypeVar("World", bound=Hashable)

MAX_STATES = 20_000_000


class Model(Protocol[World]):
    """A first state, what can follow a state, and what must never be."""

    @property
    def start(self) -> World:
        """The state in which everything begins."""

    def steps(self, world: World) -> Iterable[tuple[str, World]]:
        """What the parts may do next, each with its name."""

    def faults(self, world: World) -> Iterable[tuple[str, World]]:
        """What the world may do to the parts next, each with its name."""

    def broken(self, world: World, *, at_rest: bool) -> enum.StrEnum | None:
        """The promise that a state breaks; `at_rest` when no part can take a step any more."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What an exploration has found; `is_complete` when every reachable state was visited."""

    states: int
    is_complete: bool
    traces: dict[enum.StrEnum, tuple[str, ...]]
    """For each promise that was broken, the shortest way there."""


def explore(model: Model[World], *, stop_at: Collection[enum.StrEnum] = (), max_states: int = MAX_STATES) -> Findings:
    """Visit all states, or as many as it takes to break one of `stop_at`; nothing follows a state that is broken."""
    came_from: dict[World, tuple[World, str] | None] = {model.start: None}
    waiting: deque[World] = deque(came_from)
    traces: dict[enum.StrEnum, tuple[str, ...]] = {}
    while waiting and len(came_from) < max_states and traces.keys().isdisjoint(stop_at):
        world = waiting.popleft()
        steps = list(model.steps(world))
        if (promise := model.broken(world, at_rest=not steps)) is not None:
            traces.setdefault(promise, tuple(_trace(came_from, world))[::-1])
            continue
        for name, following in (*steps, *model.faults(world)):
            if following not in came_from:
                came_from[following] = (world, name)
                waiting.append(following)
    return Findings(len(came_from), not waiting, traces)


def _trace(came_from: dict[World, tuple[World, str] | None], world: World) -> Iterator[str]:
    """The names of what led to a state, backwards."""
    while (before := came_from[world]) is not None:
        world, name = before
        yield name
