"""The host's end of a connection with an agent: requests and replies by number, descriptors beside them."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from taor_sandbox.agent import messages
from taor_sandbox.agent.messages import Message, Refused, State
from taor_sandbox.backends.errors import BackendError, SandboxUnreachable
from taor_sandbox.backends.local.folder import Folder
from taor_sandbox.backends.states import meaning

_REPLY_SECONDS = 30.0
_FULL_SECONDS = 0.002
Expected = TypeVar("Expected", bound=Message)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and the descriptors that came with it; whoever takes them closes them."""

    message: Message
    fds: tuple[int, ...]

    def fd(self) -> int:
        """The one descriptor that was asked for."""
        (only,) = self.fds
        return only


class Link:
    """One connection; it never comes back once it is broken."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._watchers: dict[str, set[asyncio.Future[State]]] = {}
        self._closed = False
        self._loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    def connect(cls, folder: Folder) -> "Link":
        """Dial the agent; raises SandboxUnreachable when nobody listens."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with folder.short(folder.socket) as path:
                sock.connect(path)
        except OSError as error:
            sock.close()
            raise SandboxUnreachable(f"no agent answers for {folder.path.name}: {error.strerror}") from error
        sock.setblocking(False)
        return cls(sock)

    @property
    def closed(self) -> bool:
        """Whether it is broken or was closed."""
        return self._closed

    async def call(
        self, kind: type[Expected], request: Message, *fds: int, seconds: float | None = _REPLY_SECONDS
    ) -> Expected:
        """Ask for something that answers with a message of `kind`; raises what the agent's refusal means."""
        answer = await self.ask(request, *fds, seconds=seconds)
        for fd in answer.fds:
            os.close(fd)
        if not isinstance(answer.message, kind):
            raise SandboxUnreachable(f"the agent answered {type(answer.message).__name__}")
        return answer.message

    async def ask(self, request: Message, *fds: int, seconds: float | None = _REPLY_SECONDS) -> Answer:
        """Send a request with descriptors (which stay the caller's) and wait for its reply."""
        try:
            async with asyncio.timeout(seconds):
                reply = await self.begin(request, *fds)
                return await reply
        except TimeoutError as error:
            raise SandboxUnreachable(f"the agent did not answer within {seconds} s") from error

    async def begin(self, request: Message, *fds: int) -> asyncio.Future[Answer]:
        """Send a request; its reply, or what its refusal means, comes in the future that is returned."""
        self._next += 1
        number = self._next
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[number] = future
        future.add_done_callback(lambda _: self._waiting.pop(number, None))
        try:
            await self._send(number, request, fds)
        except BaseException:  # a cancelled request must not be waited for either
            future.cancel()
            raise
        return future

    @contextlib.contextmanager
    def watch(self, op_id: str) -> Iterator[asyncio.Future[State]]:
        """The state in which the operation ends, once it does from now on; SandboxUnreachable when the link breaks."""
        ended: asyncio.Future[State] = self._loop.create_future()
        self._watchers.setdefault(op_id, set()).add(ended)
        try:
            yield ended
        finally:
            watchers = self._watchers.get(op_id, set())
            watchers.discard(ended)
            if not watchers:
                self._watchers.pop(op_id, None)

    def close(self) -> None:
        """Hang up; whoever waits gets SandboxUnreachable."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        open_ones: list[asyncio.Future[Answer] | asyncio.Future[State]] = [*self._waiting.values()]
        open_ones += itertools.chain.from_iterable(self._watchers.values())
        for future in [future for future in open_ones if not future.done()]:
            _fail(future, SandboxUnreachable("the connection with the agent ended"))

    async def _send(self, number: int, request: Message, fds: tuple[int, ...]) -> None:
        while not self._closed:
            try:
                messages.send(self._sock, number, request, fds)
            except BlockingIOError:
                await asyncio.sleep(_FULL_SECONDS)
            except OSError as error:
                raise SandboxUnreachable("the connection with the agent broke") from error
            else:
                return
        raise SandboxUnreachable("the connection with the agent ended")

    def _readable(self) -> None:
        """Take every packet that is there; a loop's wake-up costs more than a packet."""
        try:
            while not self._closed:
                self._receive(messages.receive(self._sock))
        except BlockingIOError:
            return
        except (messages.Closed, OSError):
            self.close()

    def _receive(self, packet: messages.Packet) -> None:
        if isinstance(packet.message, messages.Ended):
            op_id, state, pid, record = packet.message
            for watcher in self._watchers.get(op_id, ()):
                watcher.set_result(State(state, pid, record))
            return
        future = self._waiting.get(packet.number)
        if future is None or future.done():
            for fd in packet.fds:
                os.close(fd)
            return
        if isinstance(packet.message, Refused):
            _fail(future, meaning(packet.message))
        else:
            future.set_result(Answer(packet.message, tuple(packet.fds)))


def _fail(future: asyncio.Future[Answer] | asyncio.Future[State], error: BackendError) -> None:
    """Fail a reply; that nobody waits for it any more is no reason for a warning."""
    future.set_exception(error)
    future.exception()
