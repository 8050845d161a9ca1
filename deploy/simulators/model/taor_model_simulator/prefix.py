"""The running fingerprint of a conversation: what the prompt cache looks up and what thinking signatures are bound to.

Every block (tools, then system, then messages) extends one chain of SHA-256 digests, computed once per request.
`cache_control` is left out: moving a cache marker changes neither the cache key nor a signature. Keys inside a block
are sorted, so only the content counts, not the order in which a client writes it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from taor_model_simulator.request import Object, Request

BYTES_PER_TOKEN = 4  # a stand-in for a tokenizer: the same text always costs the same


@dataclass(frozen=True, slots=True)
class Prefix:
    """Digest and running token count after each block, the cache markers by block, and where the messages begin."""

    digests: list[bytes]
    totals: list[int]
    marks: dict[int, Object]
    first_message_block: int

    @property
    def digest(self) -> bytes:
        """The fingerprint of the whole prompt."""
        return self.digests[-1]

    @property
    def tokens(self) -> int:
        """The size of the whole prompt."""
        return self.totals[-1]


def trace(request: Request) -> Prefix:
    """Walk the prompt once."""
    digest, total = b"", 0
    digests: list[bytes] = []
    totals: list[int] = []
    marks: dict[int, Object] = {}
    for place, block in _in_prompt_order(request):
        raw = _canonical(block)
        digest = hashlib.sha256(digest + place + raw).digest()
        total += tokens(len(raw))
        control = block.get("cache_control")
        if isinstance(control, dict):
            marks[len(digests)] = control
        digests.append(digest)
        totals.append(total)
    if request.cache_control is not None:
        marks[len(digests) - 1] = request.cache_control
    return Prefix(digests, totals, marks, len(request.tools) + len(request.system))


def tokens(size_bytes: int) -> int:
    """How many tokens a piece of this size counts as."""
    return max(1, size_bytes // BYTES_PER_TOKEN)


def sign(thinking: str, before: bytes) -> str:
    """The signature of a thinking block, bound to the digest of everything before it."""
    return base64.b64encode(hashlib.sha256(b"thinking" + before + thinking.encode()).digest()).decode()


def _in_prompt_order(request: Request) -> Iterator[tuple[bytes, Object]]:
    for tool in request.tools:
        yield b"tool", tool
    for block in request.system:
        yield b"system", block
    for message in request.messages:
        place = message.role.encode()
        for block in message.blocks:
            yield place, block


def _canonical(block: Object) -> bytes:
    raw = orjson.dumps(block, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(_unmarked(block), option=orjson.OPT_SORT_KEYS) if b'"cache_control"' in raw else raw


def _unmarked(value: object) -> object:
    match value:
        case dict():
            return {key: _unmarked(item) for key, item in value.items() if key != "cache_control"}
        case list():
            return [_unmarked(item) for item in value]
        case _:
            return value
