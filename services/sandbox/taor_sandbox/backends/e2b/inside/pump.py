"""A TCP connection to the sandbox's own loopback, carried over standard input and output."""

import os
import select
import socket

from taor_sandbox.agent.messages import Done
from taor_sandbox.backends.e2b.inside.frames import CHUNK_BYTES, PortClosed, emit, emit_bytes
from taor_sandbox.backends.e2b.inside.requests import Dial

_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 900.0
_STDIN = 0


def dial(request: Dial) -> None:
    """Carry bytes both ways until the port's end is closed, or nothing has come for long."""
    try:
        sock = socket.create_connection(("127.0.0.1", request.port), timeout=_CONNECT_SECONDS)
    except OSError as error:
        emit(PortClosed(str(error)))
        return
    emit(Done())
    sock.settimeout(_IDLE_SECONDS)
    sources: list[int] = [sock.fileno(), _STDIN]
    offset = 0
    while ready := select.select(sources, [], [], _IDLE_SECONDS)[0]:
        if _STDIN in ready:
            data = os.read(_STDIN, CHUNK_BYTES)
            if data:
                sock.sendall(data)
            else:
                sock.shutdown(socket.SHUT_WR)
                sources.remove(_STDIN)
        if sock.fileno() in ready:
            data = sock.recv(CHUNK_BYTES)
            if not data:
                return
            emit_bytes("stdout", offset, data)
            offset += len(data)
