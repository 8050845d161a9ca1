"""The agent's loop: one thread over a listening socket, its connections, and the ends of child processes."""

import contextlib
import os
import selectors
import signal
import socket
import time

from taor_sandbox.agent.answers import Answers
from taor_sandbox.agent.config import Config
from taor_sandbox.agent.connection import Connection
from taor_sandbox.agent.journal import Journal
from taor_sandbox.agent.messages import Ended
from taor_sandbox.agent.operations import Operations
from taor_sandbox.agent.processes import kill_everything

_MAX_CONNECTIONS = 64


class Server:
    """Serves every connection, watches limits, and ends the sandbox when nobody owns it any more."""

    def __init__(self, listener: socket.socket, config: Config) -> None:
        journal = Journal(config.journal)
        self._listener = listener
        self._ownerless_seconds = config.ownerless_seconds
        self._operations = Operations(config, journal, self._tell_ended)
        self._answers = Answers(config, journal, self._operations)
        self._connections: list[Connection] = []
        self._ownerless_since = time.monotonic()
        self._children = _child_signals()
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until a shutdown, or until the sandbox was ownerless for too long; then nothing in it is left alive."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._children, selectors.EVENT_READ, self._children_ended)
        while not self._answers.shut_down and (self._connections or self._ownerless_left() > 0):
            for key, _ in self._selector.select(self._sleep_seconds()):
                key.data()
            self._operations.check_limits()
            self._drop_broken()
        kill_everything()

    def _accept(self) -> None:
        connection = Connection(self._listener.accept()[0])
        if len(self._connections) >= _MAX_CONNECTIONS:
            connection.sock.close()
            return
        self._connections.append(connection)
        self._selector.register(connection.sock, selectors.EVENT_READ, lambda: self._serve(connection))

    def _serve(self, connection: Connection) -> None:
        packet = connection.receive()
        if packet is None:
            return
        try:
            self._answers.answer(connection, packet)
        finally:
            for fd in packet.fds:
                os.close(fd)

    def _children_ended(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._children, 4096)
        self._operations.reap()

    def _tell_ended(self, ended: Ended) -> None:
        for connection in self._connections:
            connection.send(0, ended)

    def _drop_broken(self) -> None:
        for connection in [c for c in self._connections if c.broken]:
            self._connections.remove(connection)
            self._selector.unregister(connection.sock)
            connection.sock.close()
            self._answers.release(connection)
            self._ownerless_since = time.monotonic()

    def _ownerless_left(self) -> float:
        return self._ownerless_since + self._ownerless_seconds - time.monotonic()

    def _sleep_seconds(self) -> float | None:
        check = self._operations.pause_seconds()
        if self._connections:
            return check
        left = max(0.0, self._ownerless_left())
        return left if check is None else min(left, check)


def _child_signals() -> int:
    """A descriptor that becomes readable when a child process has ended."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
