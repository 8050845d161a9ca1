"""The words of a running model call, for those who watch its build in this process.

They are provisional: nothing is kept, counted or repeated, a slow reader misses some, and the event of the turn tells
the whole text. Where nobody watches, nothing is done.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taor_chassis.redaction import redact
from taor_orchestrator.model.port import Delta, DeltaKind

MAX_PIECES = 256
"""How many pieces wait for one reader; older ones are dropped."""
MAX_HELD_CHARS = 4096
# What a secret can consist of; a private key is told by its first line instead.
_WORD_AT_THE_END = re.compile(r"[A-Za-z0-9_.:+/=\-]*\Z")
_KEY_BEGINS, _IS_PRIVATE = "-----BEGIN", "PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class CallName:
    """A call that is running: its id, and the number that its turn will have."""

    build_id: str
    rid: str
    turn: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a call; those of another call with the same turn take their place."""

    call: CallName
    text: str


class WordRedactor:
    """Lets text out by whole words, so that no secret slips through between two pieces of it.

    From the first line of a private key on, and from a word of more than `MAX_HELD_CHARS`, nothing more is let out.
    """

    def __init__(self) -> None:
        self._held = ""
        self._silent = False

    def feed(self, text: str) -> str:
        """What of the text so far can be let out now."""
        if self._silent:
            return ""
        self._held += text
        end = self._end()
        ready, self._held = self._held[:end], self._held[end:]
        self._silent = _IS_PRIVATE in ready or len(self._held) > MAX_HELD_CHARS
        return redact(ready)

    def _end(self) -> int:
        last_word = _WORD_AT_THE_END.search(self._held)
        end = last_word.start() if last_word else len(self._held)
        key = self._held.find(_KEY_BEGINS)
        return min(end, key) if key >= 0 and "\n" not in self._held[key:end] else end


class Reader:
    """What waits for one watcher; `woken` is set when something has come."""

    def __init__(self, woken: asyncio.Event) -> None:
        self._pieces: deque[Piece] = deque(maxlen=MAX_PIECES)
        self._woken = woken

    def put(self, piece: Piece) -> None:
        """Add a piece; never waits."""
        self._pieces.append(piece)
        self._woken.set()

    def take(self) -> Sequence[Piece]:
        """What has come since the last time."""
        pieces = list(self._pieces)
        self._pieces.clear()
        return pieces


class LiveText:
    """Passes the words of calls on to the readers of their builds."""

    def __init__(self) -> None:
        self._readers: defaultdict[str, set[Reader]] = defaultdict(set)

    def enter(self, build_id: str, woken: asyncio.Event) -> Reader:
        """A reader of the calls of a build that begin from now on; `leave` with it."""
        reader = Reader(woken)
        self._readers[build_id].add(reader)
        return reader

    def leave(self, build_id: str, reader: Reader) -> None:
        """The reader is gone."""
        self._readers[build_id].discard(reader)
        if not self._readers[build_id]:
            del self._readers[build_id]

    def is_read(self, build_id: str) -> bool:
        """Whether anybody reads."""
        return build_id in self._readers

    def teller(self, call: CallName) -> Callable[[Delta], None]:
        """What a call tells its pieces to as they come."""
        redactor = WordRedactor()

        def tell(delta: Delta) -> None:
            if delta.kind is DeltaKind.TEXT and (text := redactor.feed(delta.text)):
                for reader in self._readers.get(call.build_id, ()):
                    reader.put(Piece(call, text))

        return tell
