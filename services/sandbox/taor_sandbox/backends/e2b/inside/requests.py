"""What the bridge is asked for: one request a run, as JSON in its argument or in an uploaded file."""

import json
import os
from typing import NamedTuple

from taor_sandbox.agent.messages import Message, from_words, words

IN_FILE = "@"
"""Before a path: the request stands in that file, which is removed."""


class Hello(NamedTuple):
    """See that the agent lives. Frames: Machine."""


class Write(NamedTuple):
    """The agent's Write, with the content of an uploaded file. Frames: State or Refused."""

    message: list[object]
    content: str


class Follow(NamedTuple):
    """Frames: Output as it grows, then State, or Again."""

    op_id: str
    stdout: int
    stderr: int


class Run(NamedTuple):
    """Run a helper. Frames: Output of both streams at its end, then Ran."""

    helper_id: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    stdin_base64: str
    timeout_seconds: float
    output_bytes: int


class Stream(NamedTuple):
    """Run a helper and stream what it writes. Frames: Output, then Ran."""

    helper_id: str
    argv: list[str]
    cwd: str
    stdin: str
    """An uploaded file, removed afterwards; "": nothing."""


class Read(NamedTuple):
    """Read a part of a regular file. Frames: Output, then Done; or Refused."""

    path: str
    offset: int
    limit: int


class Hold(NamedTuple):
    """Freeze for as long as a line comes in time. Frames: Done or Refused; Done after the line `thaw`."""

    lease_seconds: float


class Dial(NamedTuple):
    """Carry a TCP connection over standard input and output. Frames: Done or PortClosed, then Output."""

    port: int


Request = Hello | Write | Follow | Run | Stream | Read | Hold | Dial | Message
_KINDS: dict[str, type[Hello | Write | Follow | Run | Stream | Read | Hold | Dial]] = {
    f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}": kind
    for kind in (Hello, Write, Follow, Run, Stream, Read, Hold, Dial)
}


def encode(request: Request) -> str:
    """A request as JSON; the bridge's own are marked, because an agent's message may have the same name."""
    name, *fields = words(request)  # type: ignore[arg-type] # a request is named like a message
    return json.dumps([f"requests.{name}" if type(request) in _KINDS.values() else name, *fields])


def parse(argument: str) -> Request:
    """The request of a command line."""
    if argument.startswith(IN_FILE):
        path = argument.removeprefix(IN_FILE)
        with open(path, encoding="utf-8") as file:
            argument = file.read()
        os.unlink(path)
    said = json.loads(argument)
    kind = _KINDS.get(said[0])
    return from_words(said) if kind is None else kind(*said[1:])
