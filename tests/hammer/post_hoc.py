"""The same demand before a checker that looks at what is spent and asks for nothing beforehand, as is usual elsewhere.

Such a checker lets a call begin while the account is below its limit, and adds what the call cost when it has ended.
Everything that began in between is not seen.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

Instant = float


@dataclass(frozen=True, slots=True)
class Demand:
    """A call that somebody wants to make."""

    user_id: str
    at: Instant
    lasts_seconds: float
    microdollars: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What an account may spend rises."""

    user_id: str
    at: Instant
    microdollars: int


@dataclass
class Outcome:
    """What a way of checking came to, over all accounts."""

    calls: int = 0
    denied: int = 0
    spent: int = 0
    overshoot: int = 0  # the most by which one account was ever over its limit
    accounts_over: int = 0


def check_afterwards(demands: Sequence[Demand], growths: Sequence[Growth]) -> Outcome:
    """Play the demand, account by account, in the order of its time."""
    total = Outcome()
    events: Mapping[str, list[tuple[Instant, int, Demand | Growth]]] = defaultdict(list)
    numbers = count()
    everything: list[Demand | Growth] = [*growths, *demands]
    for each in everything:
        events[each.user_id].append((each.at, next(numbers), each))
    for queue in events.values():
        _play(queue, numbers, total)
    return total


def _play(queue: "list[tuple[Instant, int, Demand | Growth]]", numbers: "count[int]", total: Outcome) -> None:
    heapq.heapify(queue)
    limit = spent = over = 0
    running: set[int] = set()
    while queue:
        at, number, event = heapq.heappop(queue)
        if isinstance(event, Growth):
            limit += event.microdollars
        elif number in running:
            spent += event.microdollars
            over = max(over, spent - limit)
        elif spent < limit:
            ends = next(numbers)
            running.add(ends)
            heapq.heappush(queue, (at + event.lasts_seconds, ends, event))
            total.calls += 1
        else:
            total.denied += 1
    total.spent += spent
    total.overshoot = max(total.overshoot, over)
    total.accounts_over += over > 0
