"""What the host and the agent say to each other: one named tuple per message, one JSON array per packet.

Releases may change all of it but the three words of `handover`.

A packet is `[number, name, fields…]`: a reply carries the number of its request, an event carries 0. Descriptors travel
beside it. A packet longer than `INLINE_BYTES` travels in a memfd, because a packet must fit into the socket's buffer.
"""

import json
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

INLINE_BYTES = 48 * 1024
MAX_FDS = 5
_IN_MEMFD = b"memfd"


class Claim(NamedTuple):
    """Start a command, once. Reply: Claimed or Refused."""

    op_id: str
    epoch: int
    nonce: str
    command: str
    cwd: str
    env: dict[str, str]
    timeout_seconds: float | None
    output_bytes: int
    background: bool


class Write(NamedTuple):
    """Write a file, once; the content is the descriptor. Reply: State or Refused."""

    op_id: str
    epoch: int
    nonce: str
    path: str
    within: str
    mode: int | None
    expected_sha256: str | None
    sha256: str


class Look(NamedTuple):
    """What became of a claim. Reply: State, with the descriptors of its two outputs if `outputs` and they exist."""

    op_id: str
    outputs: bool


class Kill(NamedTuple):
    """Kill every process of an operation or helper. Reply: Done, when they are gone."""

    op_id: str
    ending: str


class RaiseEpoch(NamedTuple):
    """Refuse lower epochs from now on, and end a freeze that one of them holds. Reply: Done or Refused."""

    epoch: int


class WriteNonce(NamedTuple):
    """Lay the journal with this nonce. Reply: Done."""

    nonce: str


class ReadNonce(NamedTuple):
    """Reply: Nonce."""


class Spawn(NamedTuple):
    """Run a helper on three descriptors. Reply: Status, when it has ended."""

    helper_id: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    file_bytes: int | None


class Open(NamedTuple):
    """Open a regular file for reading. Reply: Done with its descriptor, or Refused."""

    path: str


class Stat(NamedTuple):
    """Reply: Stated or Refused."""

    path: str


class Dial(NamedTuple):
    """Begin a TCP connection to the sandbox's loopback. Reply: Done with the connecting socket."""

    port: int


class Listen(NamedTuple):
    """Accept connections on a port of the sandbox's loopback. Reply: Done with the listening socket, or Refused."""

    port: int


class Survey(NamedTuple):
    """Look at the whole workspace without reading it. Reply: Surveyed or Refused."""

    since: str
    """The stamp of an earlier look; "": none."""


class Freeze(NamedTuple):
    """Stop everything that runs, start nothing. Reply: Done or Refused."""


class Thaw(NamedTuple):
    """End one's own freeze. Reply: Done, or Refused when it has not held until now."""


class ListLive(NamedTuple):
    """Reply: Live operations."""


class Shutdown(NamedTuple):
    """Kill everything and end. Reply: Done, before that, or Refused where a higher epoch was seen; None always may."""

    epoch: int | None = None
    only_idle: bool = False
    """Refuse with BUSY where anything of an operation runs."""


class Done(NamedTuple):
    """It was done."""


class Claimed(NamedTuple):
    """True: by this request. False: the claim was there before."""

    fresh: bool


class State(NamedTuple):
    """State of a claim: NONE, LIVE (with its output limit), DEAD, COMMAND or WRITE (with their exit record)."""

    state: str
    pid: int
    record: list[object]


class Nonce(NamedTuple):
    """The journal's nonce, or none."""

    nonce: str | None


class Status(NamedTuple):
    """Exit status of a helper."""

    status: int


class Stated(NamedTuple):
    """What stands at a path."""

    real_path: str
    kind: str
    size_bytes: int
    mode: int
    mtime_ns: int


class Surveyed(NamedTuple):
    """What stands in the workspace."""

    stamp: str
    """Names this look."""
    is_whole: bool
    """False: the rest is as it was at the look that was named."""
    there: Sequence[Sequence[object]]
    """Path, then `survey.Standing`; a folder comes before what is in it."""
    gone: list[str]


class LiveOperations(NamedTuple):
    """Operations of which something runs."""

    op_ids: list[str]


class Refused(NamedTuple):
    """Nothing was done: STALE_EPOCH, WIPED, FROZEN, BUSY, INVALID, or a FileProblem."""

    code: str
    detail: str
    highest_epoch: int


class Ended(NamedTuple):
    """Event: the claim of this operation has reached its end state; the other fields are those of State."""

    op_id: str
    state: str
    pid: int
    record: list[object]


Request = (
    Claim
    | Write
    | Look
    | Kill
    | RaiseEpoch
    | WriteNonce
    | ReadNonce
    | Spawn
    | Open
    | Stat
    | Dial
    | Listen
    | Survey
    | Freeze
    | Thaw
    | ListLive
    | Shutdown
)
Reply = Done | Claimed | State | Nonce | Status | Stated | Surveyed | LiveOperations | Refused | Ended
Message = Request | Reply

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (*Request.__args__, *Reply.__args__)}


class Packet(NamedTuple):
    """One message as it came, with the descriptors that came beside it (the receiver closes them)."""

    number: int
    message: Message
    fds: list[int]


class Closed(Exception):
    """The other end is gone."""


def send(sock: socket.socket, number: int, message: Message, fds: tuple[int, ...] = ()) -> None:
    """Send one packet; raises BlockingIOError when a non-blocking socket is full, OSError when it is broken."""
    body = json.dumps([number, *words(message)]).encode()
    if len(body) <= INLINE_BYTES:
        socket.send_fds(sock, [body], fds)
        return
    memory = memory_file(body)
    try:
        socket.send_fds(sock, [_IN_MEMFD], (*fds, memory))
    finally:
        os.close(memory)


def receive(sock: socket.socket) -> Packet:
    """Receive one packet; raises Closed at the end, BlockingIOError when there is none yet."""
    body, fds, _, _ = socket.recv_fds(sock, INLINE_BYTES + 1, MAX_FDS)
    if not body:
        raise Closed
    if body == _IN_MEMFD:
        memory = fds.pop()
        body = read_memory(memory)
        os.close(memory)
    number, *said = json.loads(body)
    return Packet(number, from_words(said), fds)


def words(message: Message) -> list[object]:
    """A message as a JSON array: its name, then its fields."""
    return [type(message).__name__, *message]


def from_words(said: list[object]) -> Message:
    """The message that `words` has made."""
    name, *fields = said
    return _KINDS[str(name)](*fields)  # type: ignore[arg-type] # fields as they came


def memory_file(content: bytes) -> int:
    """A memfd with this content, at its beginning."""
    memory = os.memfd_create("taor")
    view = memoryview(content)
    while view:
        view = view[os.write(memory, view) :]
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def read_memory(memory: int, limit: int | None = None) -> bytes:
    """The content of a memfd from its beginning, up to `limit`."""
    size = os.fstat(memory).st_size if limit is None else min(limit, os.fstat(memory).st_size)
    return os.pread(memory, size, 0)
