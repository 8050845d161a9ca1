"""The prompt cache forgets when it should, and remembers what is used."""

from __future__ import annotations

import orjson

from taor_model_simulator.cache import PromptCache, PromptUsage
from taor_model_simulator.prefix import trace
from taor_model_simulator.request import parse

LONG = "A sentence that is long enough to be cached. " * 200
MINUTES = 60.0


class Hand:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def serve(cache: PromptCache, ttl: str, *later: str) -> PromptUsage:
    mark = {"type": "ephemeral", "ttl": ttl}
    messages = [{"role": "user", "content": [{"type": "text", "text": text} for text in ("Hello.", *later)]}]
    system = [{"type": "text", "text": LONG, "cache_control": mark}]
    body = {"model": "m", "max_tokens": 9, "system": system, "messages": messages}
    return cache.serve("m", trace(parse(orjson.dumps(body))))


def test_an_entry_lives_as_long_as_it_was_paid_for_and_each_use_renews_it() -> None:
    for ttl, life in (("5m", 5 * MINUTES), ("1h", 60 * MINUTES)):
        clock = Hand()
        cache = PromptCache(clock)
        assert serve(cache, ttl).cache_read_tokens == 0
        for _ in range(3):
            clock.seconds += life - 1
            assert serve(cache, ttl).cache_read_tokens > 1024
        clock.seconds += life + 1
        assert serve(cache, ttl).cache_read_tokens == 0


def test_the_four_kinds_of_prompt_tokens_add_up_to_the_prompt() -> None:
    cache = PromptCache(Hand())
    first, second = serve(cache, "1h"), serve(cache, "1h", "More.")
    assert first.cache_write_1h_tokens == second.cache_read_tokens
    assert (second.cache_write_5m_tokens, second.cache_write_1h_tokens) == (0, 0)
    assert second.input_tokens > first.input_tokens
