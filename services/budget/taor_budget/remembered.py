"""A bounded memory of facts that never change."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Keeps the most recently used facts; one that was forgotten is looked up again."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._facts: OrderedDict[K, V] = OrderedDict()

    async def get(self, key: K, look_up: Callable[[], Awaitable[V]]) -> V:
        """The fact, from memory or looked up; what `look_up` raises is not remembered."""
        if (fact := self._facts.get(key)) is None:
            fact = await look_up()
            self.put(key, fact)
        else:
            self._facts.move_to_end(key)
        return fact

    def put(self, key: K, fact: V) -> None:
        """Remember a fact, in the place of the least recently used one when memory is full."""
        self._facts[key] = fact
        self._facts.move_to_end(key)
        if len(self._facts) > self._capacity:
            self._facts.popitem(last=False)
