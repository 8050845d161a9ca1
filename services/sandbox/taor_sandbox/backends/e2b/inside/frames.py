"""What the bridge writes to its standard output: one JSON array a line, because that output is text on its way.

A frame is a message of the agent, by its name and fields, or one of those below.
"""

import base64
import json
import sys
from typing import NamedTuple

from taor_sandbox.agent.messages import Message, from_words, words

CHUNK_BYTES = 192 * 1024


class Output(NamedTuple):
    """The next bytes of a stream, in base64; `offset` counts from its beginning."""

    stream: str
    offset: int
    base64: str

    @property
    def data(self) -> bytes:
        """The bytes."""
        return base64.b64decode(self.base64)


class Ran(NamedTuple):
    """How a helper ended."""

    status: int
    truncated: bool
    timed_out: bool
    complaint: str


class Again(NamedTuple):
    """A follower has lived long enough: ask again from where you are."""


class PortClosed(NamedTuple):
    """Nothing listens on a port."""

    detail: str


class Told(NamedTuple):
    """What the allow-list has refused to commands since the last frame of this kind."""

    hosts: list[str]


class Machine(NamedTuple):
    """What there is to know of the machine."""

    boot_id: str


Frame = Output | Ran | Again | PortClosed | Told | Machine | Message
_KINDS: dict[str, type[Output | Ran | Again | PortClosed | Told | Machine]] = {
    kind.__name__: kind for kind in (Output, Ran, Again, PortClosed, Told, Machine)
}


def emit(frame: Frame) -> None:
    """Write a frame; the end of who reads it is the end of this process."""
    sys.stdout.write(json.dumps(words(frame)) + "\n")  # type: ignore[arg-type] # a frame is named like a message
    sys.stdout.flush()


def emit_bytes(stream: str, offset: int, data: bytes) -> None:
    """Write bytes as a frame."""
    emit(Output(stream, offset, base64.b64encode(data).decode()))


def parse(line: str) -> Frame:
    """The frame of a line; raises ValueError when it is none."""
    said = json.loads(line)
    if not isinstance(said, list) or not said:
        raise ValueError(f"not a frame: {line[:100]}")
    kind = _KINDS.get(said[0])
    try:
        return from_words(said) if kind is None else kind(*said[1:])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a frame: {line[:100]}") from error
