"""Cuts long output in its middle, by whole lines, so that the model sees how it began and how it ended."""

from collections import deque
from dataclasses import dataclass, field

LIMIT_CHARACTERS = 30_000
LINE_CHARACTERS = 2_000


def middle(text: str, *, limit: int = LIMIT_CHARACTERS, source: str = "") -> str:
    """Keep the first and the last lines within `limit` characters, with a note of what is left out in between."""
    if len(text) <= limit:
        return text
    lines = text.splitlines(keepends=True)
    head = _fitting(lines, limit // 2)
    tail = _fitting(lines[: len(head) - 1 if head else None : -1], limit - limit // 2)[::-1]
    if not head and not tail:
        return text[: limit // 2] + _note(0, len(text) - limit, source) + text[-(limit - limit // 2) :]
    left_out = lines[len(head) : len(lines) - len(tail)]
    return _ended("".join(head)) + _note(len(left_out), sum(map(len, left_out)), source) + "".join(tail)


def line(text: str, *, limit: int = LINE_CHARACTERS) -> str:
    """Cut one line to `limit` characters and say so."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [… {len(text) - limit} more characters in this line]"


@dataclass(slots=True)
class Ends:
    """Collects the first and the last bytes of a stream of any length, in bounded memory."""

    keep_bytes: int = 2 * LIMIT_CHARACTERS
    total_bytes: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _tail: deque[bytes] = field(default_factory=deque)
    _tail_bytes: int = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total_bytes += len(data)
        room = self.keep_bytes - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail.append(data[-self.keep_bytes :])
            self._tail_bytes += len(self._tail[-1])
        while self._tail and self._tail_bytes - len(self._tail[0]) >= self.keep_bytes:
            self._tail_bytes -= len(self._tail.popleft())

    def text(self) -> str:
        """The stream as text, with a note where bytes were dropped; bytes that are no UTF-8 show as �."""
        head, tail = bytes(self._head), b"".join(self._tail)
        dropped = self.total_bytes - len(head) - len(tail)
        if dropped == 0:
            return (head + tail).decode(errors="replace")
        # Half lines at the cut would show half a secret, or half a character.
        head = head[: head.rfind(b"\n") + 1] or head
        tail = tail[tail.find(b"\n") + 1 :]
        dropped = self.total_bytes - len(head) - len(tail)
        note = f"[… {dropped} bytes left out …]\n"
        return _ended(head.decode(errors="replace")) + note + tail.decode(errors="replace")


def _fitting(lines: list[str], limit: int) -> list[str]:
    """The longest run of lines, from the first on, within `limit` characters."""
    size = 0
    for count, each in enumerate(lines):
        size += len(each)
        if size > limit:
            return lines[:count]
    return lines


def _note(lines: int, characters: int, source: str) -> str:
    where = f"; all of it stands in {source}" if source else ""
    return f"[… {lines} lines, {characters} characters left out{where} …]\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
