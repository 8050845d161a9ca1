"""Takes secrets out of the output of a command while it comes, and out of its result what is no text."""

import re
from collections.abc import Sequence

from taor_chassis.redaction import redact

__all__ = ["StreamRedactor", "redact", "safe", "without_private_keys"]

_HELD_BACK_BYTES = 4096
_LONGEST_WORD_BYTES = 64 * 1024
_SPACE = re.compile(rb"\s")
_KEY_BEGINS, _KEY_ENDS = (re.compile(rf"-----{edge} [A-Z ]*PRIVATE KEY") for edge in ("BEGIN", "END"))


def safe(text: str) -> str:
    """The text as it may leave the service: without secrets, and without what PostgreSQL and protobuf take for no text.

    That is the zero character, and the lone surrogates that stand for bytes of names which are no UTF-8."""
    return redact(text).encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def without_private_keys(lines: Sequence[str]) -> list[str]:
    """The lines of a file without those of private keys, each for itself: of a few lines nobody can tell any more."""
    shown, begin = list(lines), -1
    for number, line in enumerate(lines):
        if begin < 0 and _KEY_BEGINS.search(line) and not _KEY_ENDS.search(line):
            begin = number
        elif begin >= 0 and _KEY_ENDS.search(line):
            shown[begin : number + 1] = ["[redacted private-key]"] * (number + 1 - begin)
            begin = -1
    return shown


class StreamRedactor:
    """Redacts one stream as it comes, by whole lines, so that no secret slips through between two chunks.

    Of a line that does not end, whole words are shown; of a word that is too long to be held back, nothing. A private
    key spans lines: from its first line on nothing more is shown; the final result shows the rest.
    """

    def __init__(self) -> None:
        self._held = b""
        self._is_private = False
        self._skips_word = False

    def feed(self, data: bytes) -> bytes:
        """The part of what has come that can be shown now."""
        if self._skips_word:
            data = self._behind_the_word(data)
        self._held += data
        end = self._held.rfind(b"\n") + 1
        if end == 0 and len(self._held) > _HELD_BACK_BYTES:
            end = len(self._held) - len(_last_word(self._held))
        ready, self._held = self._held[:end], self._held[end:]
        if len(self._held) > _LONGEST_WORD_BYTES:
            self._held, self._skips_word = b"", True
        return self._shown(ready)

    def _behind_the_word(self, data: bytes) -> bytes:
        found = _SPACE.search(data)
        self._skips_word = found is None
        return b"" if found is None else data[found.start() :]

    def _shown(self, ready: bytes) -> bytes:
        if not ready or self._is_private:
            return b""
        text = ready.decode(errors="replace")
        self._is_private = _KEY_BEGINS.search(text) is not None
        return redact(text).encode()


def _last_word(data: bytes) -> bytes:
    """What may go on in the next chunk."""
    return b"" if _SPACE.match(data[-1:]) else data.rsplit(None, 1)[-1]
