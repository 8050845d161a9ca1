"""A running sandbox as the simulator holds it: the first process inside, and what it starts for us."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from taor_e2b_simulator import view
from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.first_process import MAX_PACKET_BYTES

EVERYBODY = -1
_END_SECONDS = 5.0


class Machine:
    """Made by `boot`; its end is the end of every process inside."""

    def __init__(self, monitor: asyncio.subprocess.Process, outside: socket.socket) -> None:
        self._monitor = monitor
        self._outside = outside
        self._tickets = itertools.count(1)
        self._starting: dict[int, asyncio.Future[int]] = {}
        self._ends: dict[int, asyncio.Future[int]] = {}
        asyncio.get_running_loop().add_reader(outside.fileno(), self._receive)

    @classmethod
    async def boot(cls, folder: Path, tmp_bytes: int) -> Machine:
        """Start the first process of a sandbox."""
        outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        outside.setblocking(False)
        try:
            argv = view.command(folder, inside.fileno(), tmp_bytes)
            monitor = await asyncio.create_subprocess_exec(*argv, pass_fds=[inside.fileno()])
        finally:
            inside.close()
        return cls(monitor, outside)

    async def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, fds: Sequence[int]) -> int:
        """Start a process on three descriptors and return its number inside; raises Refused."""
        ticket = next(self._tickets)
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starting[ticket] = reply
        self._send({"do": "start", "ticket": ticket, "argv": list(argv), "env": dict(env), "cwd": cwd}, fds)
        return await reply

    async def ended(self, pid: int) -> int:
        """The exit code of a process that `start` has started; minus the signal that ended it."""
        end = self._ends[pid]
        return await asyncio.shield(end)

    def forget(self, pid: int) -> None:
        """Its exit code was taken."""
        self._ends.pop(pid, None)

    @property
    def stopped(self) -> bool:
        """Whether nothing runs inside any more."""
        return self._outside.fileno() < 0

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to one process, not to its children; or to every process inside."""
        self._send({"do": "signal", "pid": pid, "signal": number})

    async def stop(self) -> None:
        """End everything inside and return when it is gone: the first process goes with the socket."""
        self._hang_up()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._monitor.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._monitor.kill()
            await self._monitor.wait()

    def _send(self, message: dict[str, object], fds: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._outside, [json.dumps(message).encode()], list(fds))
        except OSError as error:
            raise Refused(502, f"The sandbox was not found: {error}") from error

    def _receive(self) -> None:
        try:
            body = self._outside.recv(MAX_PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            body = b""
        if not body:
            self._hang_up()
            return
        message = json.loads(body)
        if "status" in message:
            self._end(message["pid"], message["status"])
        else:
            self._started(self._starting.pop(message["ticket"]), message)

    def _started(self, reply: asyncio.Future[int], message: dict[str, int | str]) -> None:
        if "pid" in message:
            # Made here: its end may be the very next packet, before whoever waits for its start runs.
            self._ends[int(message["pid"])] = asyncio.get_running_loop().create_future()
        if reply.done():
            return
        if "pid" in message:
            reply.set_result(int(message["pid"]))
        else:
            reply.set_exception(Refused(400, str(message["error"])))

    def _end(self, pid: int, status: int) -> None:
        end = self._ends.get(pid)
        if end is not None and not end.done():
            end.set_result(status)

    def _hang_up(self) -> None:
        """The first process is gone, and everything with it."""
        if self.stopped:
            return
        asyncio.get_running_loop().remove_reader(self._outside.fileno())
        self._outside.close()
        for reply in self._starting.values():
            if not reply.done():
                reply.set_exception(Refused(502, "The sandbox was not found"))
        self._starting.clear()
        for pid in self._ends:
            self._end(pid, -signal.SIGKILL)


def pipe() -> tuple[int, int]:
    """A pipe whose reading end does not block."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    return reader, writer
