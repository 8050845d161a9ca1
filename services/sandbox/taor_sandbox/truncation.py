"""Cuts long output in its middle, by whole lines, so that the model sees how it began and how it ended."""

import string
from collections import deque
from dataclasses import dataclass, field

LIMIT_CHARACTERS = 30_000
LINE_CHARACTERS = 2_000
_LONGEST_KEY = 256
_KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_.+/-")
_CONTINUATIONS = bytes(range(0x80, 0xC0))
"""What is no first byte of a character in UTF-8."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long a text is; a line is what ends with a line feed."""

    lines: int
    characters: int

    @classmethod
    def of(cls, text: str) -> "Size":
        """Of a text that is at hand."""
        return cls(text.count("\n"), len(text))


def middle(text: str, *, limit: int = LIMIT_CHARACTERS, source: str = "") -> str:
    """Keep the first and the last lines within `limit` characters, with a note of what is left out in between."""
    return text if len(text) <= limit else ends(text, text, Size.of(text), limit=limit, source=source)


def ends(head: str, tail: str, whole: Size, *, limit: int = LIMIT_CHARACTERS, source: str = "") -> str:
    """As `middle`, of a text of this size of which only the beginning and the end are at hand."""
    before, after = limit // 2, limit - limit // 2
    first = "".join(_fitting(head.splitlines(keepends=True), before)) or head[:before]
    last = "".join(_fitting(tail.splitlines(keepends=True)[::-1], after)[::-1]) or tail[-after:]
    return _ended(first) + _note(whole, Size.of(first + last), source) + last


def line(text: str, *, limit: int = LINE_CHARACTERS) -> str:
    """Cut one line to `limit` characters and say so, between two words: half a secret is not taken for one."""
    if len(text) <= limit:
        return text
    end = _between_words(text, limit)
    return f"{text[:end]} [… {len(text) - end} more characters in this line]"


def _between_words(text: str, end: int) -> int:
    """The last place up to `end` where no key is cut in two; a word that is longer than any key is cut all the same."""
    first = max(0, end - _LONGEST_KEY)
    while end > first and text[end] in _KEY_CHARACTERS and text[end - 1] in _KEY_CHARACTERS:
        end -= 1
    return end


@dataclass(frozen=True, slots=True)
class Kept:
    """The beginning and the end of a stream; the beginning is all of it where nothing was dropped."""

    head: str
    tail: str = ""
    whole: Size = Size(0, 0)
    """Of the whole stream; bytes that are no UTF-8 may count otherwise than they are shown."""


@dataclass(slots=True)
class Ends:
    """Collects the first and the last bytes of a stream of any length, in bounded memory."""

    keep_bytes: int = 2 * LIMIT_CHARACTERS
    total_bytes: int = 0
    _lines: int = 0
    _characters: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _tail: deque[bytes] = field(default_factory=deque)
    _tail_bytes: int = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total_bytes += len(data)
        self._lines += data.count(b"\n")
        self._characters += len(data.translate(None, _CONTINUATIONS))
        room = self.keep_bytes - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail.append(data[-self.keep_bytes :])
            self._tail_bytes += len(self._tail[-1])
        while self._tail and self._tail_bytes - len(self._tail[0]) >= self.keep_bytes:
            self._tail_bytes -= len(self._tail.popleft())

    def kept(self) -> Kept:
        """What there is of the stream; bytes that are no UTF-8 show as �."""
        head, tail = bytes(self._head), b"".join(self._tail)
        whole = Size(self._lines, max(self._characters, self.total_bytes // 4))  # no character has more bytes
        if self.total_bytes == len(head) + len(tail):
            return Kept((head + tail).decode(errors="replace"), whole=whole)
        # Half lines at the cut would show half a secret, or half a character; an endless line has nothing else.
        head = head[: head.rfind(b"\n") + 1] or head
        tail = tail[tail.find(b"\n", 0, -1) + 1 :]
        return Kept(head.decode(errors="replace"), tail.decode(errors="replace"), whole)


def _fitting(lines: list[str], limit: int) -> list[str]:
    """The longest run of lines, from the first on, within `limit` characters."""
    size = 0
    for count, each in enumerate(lines):
        size += len(each)
        if size > limit:
            return lines[:count]
    return lines


def _note(whole: Size, shown: Size, source: str) -> str:
    where = f"; all of it stands in {source} (look at parts of it with bash)" if source else ""
    lines = whole.lines - shown.lines
    counted = f"{lines} of {whole.lines} lines, " if lines > 0 else ""
    return f"[… {counted}{whole.characters - shown.characters} characters left out{where} …]\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
