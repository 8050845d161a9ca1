"""Helpers: started through the agent, so that they end with the bridge's connection, whatever becomes of the bridge."""

import base64
import os

from taor_sandbox.agent import messages
from taor_sandbox.agent.messages import Kill, Refused, Spawn, Status, memory_file, read_memory
from taor_sandbox.backends.e2b.inside.frames import CHUNK_BYTES, Ran, emit, emit_bytes
from taor_sandbox.backends.e2b.inside.link import REPLY_SECONDS, Link, close_all
from taor_sandbox.backends.e2b.inside.refusals import tell
from taor_sandbox.backends.e2b.inside.requests import Run, Stream

_STREAMS = ("stdout", "stderr")
_COMPLAINT_BYTES = 2000
_ROOM_BYTES = 1024
"""A helper's limit of what it may write counts in such steps."""


def run(link: Link, request: Run) -> None:
    """Run a helper to its end, and tell all it said, up to the cap."""
    stdio = [memory_file(base64.b64decode(request.stdin_base64)), memory_file(b""), memory_file(b"")]
    spawn = Spawn(request.helper_id, request.argv, request.cwd, request.env, request.output_bytes + _ROOM_BYTES)
    number = link.begin(spawn, *stdio)
    answer = link.reply(number, request.timeout_seconds)
    timed_out = answer is None
    if timed_out:
        link.begin(Kill(request.helper_id, "KILLED"))
    end = _end(answer or link.reply(number, REPLY_SECONDS))
    truncated = any(os.fstat(fd).st_size > request.output_bytes for fd in stdio[1:])
    for name, fd in zip(_STREAMS, stdio[1:], strict=True):
        said = read_memory(fd, request.output_bytes)
        for offset in range(0, len(said), CHUNK_BYTES):
            emit_bytes(name, offset, said[offset : offset + CHUNK_BYTES])
    close_all(stdio)
    tell(request.helper_id)
    emit(end if isinstance(end, Refused) else Ran(end.status, truncated, timed_out, ""))


def stream(link: Link, request: Stream) -> None:
    """Run a helper, and tell what it writes as it writes it."""
    stdin = os.open(request.stdin or os.devnull, os.O_RDONLY)
    if request.stdin:
        os.unlink(request.stdin)
    complaint = memory_file(b"")
    reader, writer = os.pipe()
    number = link.begin(Spawn(request.helper_id, request.argv, request.cwd, {}, None), stdin, writer, complaint)
    close_all([stdin, writer])
    offset = 0
    while chunk := os.read(reader, CHUNK_BYTES):
        emit_bytes("stdout", offset, chunk)
        offset += len(chunk)
    end = _end(link.reply(number, REPLY_SECONDS))
    said = read_memory(complaint, _COMPLAINT_BYTES).decode(errors="replace")
    emit(end if isinstance(end, Refused) else Ran(end.status, False, False, said))


def _end(answer: tuple[messages.Reply, list[int]] | None) -> Status | Refused:
    if answer is None or not isinstance(answer[0], Status | Refused):
        raise TimeoutError("the agent does not tell how a helper ended")
    return answer[0]
