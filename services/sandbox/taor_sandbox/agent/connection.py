"""The agent's end of one connection with a sandbox service."""

import socket

from taor_sandbox.agent import messages
from taor_sandbox.agent.messages import Packet, Reply


class Connection:
    """One service that is connected; it is given up, never waited for, when it does not read what it is sent."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.broken = False
        self.helpers: set[str] = set()

    def send(self, number: int, message: Reply, fds: tuple[int, ...] = ()) -> None:
        """Send, or mark the connection broken."""
        try:
            messages.send(self.sock, number, message, fds)
        except OSError:
            self.broken = True

    def receive(self) -> Packet | None:
        """The next packet; None when there is none, or when the other end is gone or speaks another release's words."""
        try:
            return messages.receive(self.sock)
        except BlockingIOError:
            return None
        except (messages.Closed, OSError, KeyError, TypeError, ValueError):
            self.broken = True
            return None
