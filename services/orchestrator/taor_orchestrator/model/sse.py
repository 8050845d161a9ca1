"""Server-sent events, from bytes to the data of each event; pure, and indifferent to how the network cuts the bytes.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html as far as model APIs use it: event names are
repeated inside the data, ids and retry times are not used.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_EVENT_BYTES = 8 * 1024 * 1024


class EventTooLong(ValueError):
    """An event grew beyond `MAX_EVENT_BYTES`."""


class EventReader:
    """Collects bytes until events are whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of every event that this chunk completes."""
        held = self._rest + chunk
        if b"\r" in held:
            held = _with_plain_newlines(held)
        *whole, self._rest = held.split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLong(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        for event in whole:
            data = _data(event)
            if data:
                yield data


def _with_plain_newlines(held: bytes) -> bytes:
    # A last "\r" may be the first half of a "\r\n" that the network has cut: it stays as it is until more comes.
    tail = b"\r" if held.endswith(b"\r") else b""
    body = held.removesuffix(b"\r")
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + tail


def _data(event: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
