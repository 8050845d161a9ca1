"""`python3 /var/lib/taor/lib REQUEST`: carries one request to the agent and its answer to standard output."""

import os
import sys

from taor_sandbox.agent import messages
from taor_sandbox.agent.messages import Done, Open
from taor_sandbox.backends.e2b.inside import follow, frames, helper, hold, link, pump, refusals, requests, start

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def main() -> None:
    """Be the agent or the teller, or serve one request."""
    if sys.argv[1] == start.AGENT:
        from taor_sandbox.backends.e2b.inside.become import become_agent

        become_agent(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == refusals.TELLER:
        from taor_sandbox.backends.e2b.inside.teller import become_teller

        become_teller(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        serve(requests.parse(sys.argv[1]))


def serve(request: requests.Request) -> None:
    """Answer one request."""
    match request:
        case requests.Hello():
            start.connect()
            with open(_BOOT_ID, encoding="ascii") as file:
                frames.emit(frames.Machine(file.read().strip()))
        case requests.Write(message, content):
            _write(message, content)
        case requests.Follow():
            follow.follow(start.connect(), request)
        case requests.Run():
            helper.run(start.connect(), request)
        case requests.Stream():
            helper.stream(start.connect(), request)
        case requests.Read():
            _read(request)
        case requests.Hold():
            hold.hold(start.connect(), request)
        case requests.Dial():
            pump.dial(request)
        case message:
            frames.emit(start.connect().ask(message)[0])


def _write(message: list[object], content: str) -> None:
    fd = os.open(content, os.O_RDONLY)
    os.unlink(content)
    frames.emit(start.connect().ask(messages.from_words(message), fd)[0])


def _read(request: requests.Read) -> None:
    reply, fds = start.connect().ask(Open(request.path))
    if not isinstance(reply, Done):
        frames.emit(reply)
        return
    offset, end = request.offset, request.offset + request.limit
    while offset < end and (data := os.pread(fds[0], min(frames.CHUNK_BYTES, end - offset), offset)):
        frames.emit_bytes("stdout", offset - request.offset, data)
        offset += len(data)
    link.close_all(fds)
    frames.emit(Done())
