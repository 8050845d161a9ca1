"""How an agent of another release is asked to make room: in three words without fields, which no release may change.

All else that two releases say may differ, so nobody speaks to an agent of another one in any other way.
"""

import json
import socket

from taor_sandbox.agent.messages import INLINE_BYTES, Closed

_SECONDS = 10.0


class Occupied(Exception):
    """Something of an operation runs, which nobody but that release can follow to its end."""


def make_room(address: str) -> bool:
    """End the agent at this address, if nothing runs in its sandbox; False when that cannot be said now.

    Raises Occupied. Frozen while it is asked: between the look and the end nothing can start."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(_SECONDS)
        try:
            sock.connect(address)
            if _ask(sock, "Freeze")[0] != "Done":
                return False
            _, [running, *_] = _ask(sock, "ListLive")
            if running:
                raise Occupied(f"an agent of another release is at work: {running[0]} runs")
            _ask(sock, "Shutdown")
        except (OSError, Closed, ValueError):
            return False  # it is gone, or going, or no agent at all
    return True


def _ask(sock: socket.socket, word: str) -> tuple[str, list[list[str]]]:
    """The name and the fields of the reply; events that come before it are none of our business."""
    sock.send(json.dumps([1, word]).encode())
    while body := sock.recv(INLINE_BYTES):
        number, name, *fields = json.loads(body)
        if number == 1:
            return name, fields
    raise Closed
