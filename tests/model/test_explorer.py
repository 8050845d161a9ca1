"""The explorer itself, on a pond that is small enough to count."""

from collections.abc import Iterator
from enum import StrEnum

from tests.model.explorer import explore

Stones = tuple[int, int]
"""Where two frogs sit; either may hop, and the wind may carry the first one back, once."""


class Promise(StrEnum):
    """What frogs promise."""

    APART = "no two frogs sit on stone two"
    ARRIVE = "both frogs come to stone three"


class Pond:
    """Two frogs and three hops each; with `polite` the second one never joins the first on stone two."""

    start: Stones = (0, 0)

    def __init__(self, *, polite: bool, lazy: bool = False) -> None:
        self._polite = polite
        self._last = 2 if lazy else 3

    def steps(self, world: Stones) -> Iterator[tuple[str, Stones]]:
        """Each frog may hop."""
        first, second = world
        if first < 3:
            yield "one hops", (first + 1, second)
        if second < self._last and not (self._polite and second == 1 and first == 2):
            yield "two hops", (first, second + 1)

    def faults(self, world: Stones) -> Iterator[tuple[str, Stones]]:
        """The wind."""
        if world == (3, 0):
            yield "the wind carries one back", (0, 0)

    def broken(self, world: Stones, *, at_rest: bool) -> Promise | None:
        """Two on stone two, or an end elsewhere than on stone three."""
        if world == (2, 2) and not self._polite:
            return Promise.APART
        return Promise.ARRIVE if at_rest and world != (3, 3) else None


def test_every_state_is_visited_once() -> None:
    findings = explore(Pond(polite=True))

    assert (findings.states, findings.is_complete, findings.traces) == (16, True, {})


def test_a_broken_promise_comes_with_the_shortest_way_there() -> None:
    trace = explore(Pond(polite=False)).traces[Promise.APART]

    assert sorted(trace) == ["one hops", "one hops", "two hops", "two hops"]


def test_what_never_comes_to_its_end_is_found_at_rest() -> None:
    findings = explore(Pond(polite=True, lazy=True))

    assert len(findings.traces[Promise.ARRIVE]) == 5


def test_a_search_that_was_cut_says_so() -> None:
    assert not explore(Pond(polite=True), max_states=5).is_complete
