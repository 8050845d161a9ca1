"""The prompt cache, as far as a client can see it: what a call reads, what it writes and for how long."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from taor_model_simulator.prefix import Prefix

MINIMUM_TOKENS = 1024
LOOKBACK_BLOCKS = 20
MAX_ENTRIES = 100_000
LIFE_SECONDS = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, slots=True)
class PromptUsage:
    """How the tokens of one prompt were served; the four numbers are disjoint and add up to the prompt."""

    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int


@dataclass(frozen=True, slots=True)
class _Entry:
    expires_at: float
    life_seconds: float


class PromptCache:
    """Entries by model and prefix digest, oldest thrown out first; the clock is in seconds and only goes forward."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._entries: OrderedDict[tuple[str, bytes], _Entry] = OrderedDict()

    def serve(self, model: str, prefix: Prefix) -> PromptUsage:
        """Account for one accepted prompt, and remember what it wrote."""
        now = self._monotonic()
        read = covered = self._longest_hit(model, prefix, now)
        written = {"5m": 0, "1h": 0}
        for position in sorted(prefix.marks):
            total = prefix.totals[position]
            if total < MINIMUM_TOKENS:
                continue
            ttl = str(prefix.marks[position].get("ttl", "5m"))
            written[ttl] += max(0, total - covered)
            covered = max(covered, total)
            self._store((model, prefix.digests[position]), now, LIFE_SECONDS[ttl])
        return PromptUsage(prefix.tokens - covered, read, written["5m"], written["1h"])

    def _longest_hit(self, model: str, prefix: Prefix, now: float) -> int:
        for mark in sorted(prefix.marks, reverse=True):
            for position in range(mark, max(-1, mark - LOOKBACK_BLOCKS), -1):
                key = (model, prefix.digests[position])
                entry = self._entries.get(key)
                if entry is not None and entry.expires_at > now:
                    self._store(key, now, entry.life_seconds)  # a hit renews the entry
                    return prefix.totals[position]
        return 0

    def _store(self, key: tuple[str, bytes], now: float, life_seconds: float) -> None:
        self._entries[key] = _Entry(now + life_seconds, life_seconds)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
