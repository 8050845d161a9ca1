"""`python3 /var/lib/taor/lib-RELEASE REQUEST`: carries one request to the agent and its answer to standard output."""

import os
import sys
from collections.abc import Callable
from functools import partial

from taor_sandbox.agent import messages
from taor_sandbox.agent.handover import Occupied
from taor_sandbox.agent.messages import Done, Open, Refused
from taor_sandbox.backends.e2b.inside import follow, frames, helper, hold, link, pump, refusals, requests, start

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def main(agent: str) -> None:
    """Be the agent or the teller, or serve one request; `agent` is the release of the agent in this library."""
    if sys.argv[1] == start.AGENT:
        from taor_sandbox.backends.e2b.inside.become import become_agent

        become_agent(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == refusals.TELLER:
        from taor_sandbox.backends.e2b.inside.teller import become_teller

        become_teller(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        try:
            serve(requests.parse(sys.argv[1]), partial(start.connect, agent))
        except Occupied as error:
            frames.emit(Refused("OTHER_RELEASE", str(error), 0))


def serve(request: requests.Request, connect: Callable[[], link.Link]) -> None:
    """Answer one request."""
    match request:
        case requests.Hello():
            connect()
            with open(_BOOT_ID, encoding="ascii") as file:
                frames.emit(frames.Machine(file.read().strip()))
        case requests.Write(message, content):
            _write(connect(), message, content)
        case requests.Follow():
            follow.follow(connect(), request)
        case requests.Run():
            helper.run(connect(), request)
        case requests.Stream():
            helper.stream(connect(), request)
        case requests.Read():
            _read(connect(), request)
        case requests.Hold():
            hold.hold(connect(), request)
        case requests.Dial():
            pump.dial(request)
        case message:
            frames.emit(connect().ask(message)[0])


def _write(agent: link.Link, message: list[object], content: str) -> None:
    fd = os.open(content, os.O_RDONLY)
    os.unlink(content)
    frames.emit(agent.ask(messages.from_words(message), fd)[0])


def _read(agent: link.Link, request: requests.Read) -> None:
    reply, fds = agent.ask(Open(request.path))
    if not isinstance(reply, Done):
        frames.emit(reply)
        return
    offset, end = request.offset, request.offset + request.limit
    while offset < end and (data := os.pread(fds[0], min(frames.CHUNK_BYTES, end - offset), offset)):
        frames.emit_bytes("stdout", offset - request.offset, data)
        offset += len(data)
    link.close_all(fds)
    frames.emit(Done())
