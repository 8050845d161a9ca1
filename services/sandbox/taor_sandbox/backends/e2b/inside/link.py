"""The bridge's connection with the agent: one request at a time, and the ends of operations beside it."""

import os
import socket
import time

from taor_sandbox.agent import messages
from taor_sandbox.agent.messages import Message, Reply

REPLY_SECONDS = 60.0


class Link:
    """Made by `start.connect`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._number = 0
        self.ended: set[str] = set()

    def ask(self, request: Message, *fds: int) -> tuple[Reply, list[int]]:
        """The reply and its descriptors; raises Closed or TimeoutError."""
        number = self.begin(request, *fds)
        answer = self.reply(number, REPLY_SECONDS)
        if answer is None:
            raise TimeoutError("the agent does not answer")
        return answer

    def begin(self, request: Message, *fds: int) -> int:
        """Send a request; returns its number."""
        self._number += 1
        messages.send(self._sock, self._number, request, fds)
        return self._number

    def reply(self, number: int, seconds: float) -> tuple[Reply, list[int]] | None:
        """The reply to a request that was begun; None when it does not come in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            packet = self._receive(left)
            if packet is not None and packet.number == number:
                return packet.message, packet.fds  # type: ignore[return-value] # the agent sends replies only
        return None

    def wait(self, seconds: float) -> None:
        """Take what comes within this time, at most one packet."""
        self._receive(seconds)

    def _receive(self, seconds: float) -> messages.Packet | None:
        self._sock.settimeout(max(seconds, 0.001))
        try:
            packet = messages.receive(self._sock)
        except TimeoutError:
            return None
        finally:
            self._sock.settimeout(REPLY_SECONDS)
        if isinstance(packet.message, messages.Ended):
            self.ended.add(packet.message.op_id)
            return None
        return packet


def close_all(fds: list[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
