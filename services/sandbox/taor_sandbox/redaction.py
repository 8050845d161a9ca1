"""Takes secrets out of the output of a command while it comes, and out of its result what is no text."""

from taor_chassis.redaction import redact

__all__ = ["StreamRedactor", "redact", "safe"]

_HELD_BACK_BYTES = 4096


def safe(text: str) -> str:
    """The text as it may leave the service: without secrets, and without what PostgreSQL and protobuf take for no text.

    That is the zero character, and the lone surrogates that stand for bytes of names which are no UTF-8."""
    return redact(text).encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


class StreamRedactor:
    """Redacts output as it comes, by whole lines, so that no secret slips through between two chunks.

    A private key spans lines: from its first line on nothing more is shown; the final result shows the rest.
    """

    def __init__(self) -> None:
        self._held = b""
        self._silent = False

    def feed(self, data: bytes) -> bytes:
        """The part of what has come that can be shown now."""
        self._held += data
        end = self._held.rfind(b"\n") + 1
        if end == 0 and len(self._held) > _HELD_BACK_BYTES:
            end = len(self._held)
        ready, self._held = self._held[:end], self._held[end:]
        return self._shown(ready)

    def rest(self) -> bytes:
        """What was held back, at the end of the stream."""
        ready, self._held = self._held, b""
        return self._shown(ready)

    def _shown(self, ready: bytes) -> bytes:
        if not ready or self._silent:
            return b""
        text = ready.decode(errors="replace")
        self._silent = "PRIVATE KEY-----" in text
        return redact(text).encode()
