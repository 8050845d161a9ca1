"""One started command: its pipes, who listens to them, and how it ended.

As on E2B: who is not connected misses the output, a signal hits the leader alone, a time-out kills the leader alone,
and a command is over only when nobody holds its outputs any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping

from e2b.envd.process import process_pb as pb

from taor_e2b_simulator import events as events_of
from taor_e2b_simulator.machine import Machine, pipe

_CHUNK_BYTES = 32 * 1024
_QUEUE_EVENTS = 256


class Execution:
    """Made by `start`."""

    def __init__(self, machine: Machine, config: pb.ProcessConfig, tag: str, stdin: int | None) -> None:
        self.config = config
        self.tag = tag
        self.pid = 0
        self.end: pb.ProcessEvent | None = None
        self.deadline_seconds: float | None = None
        """How long it may last, counted from its start; the SDK asks for 60 s unless it is told otherwise."""
        self._machine = machine
        self._stdin = stdin
        self._listeners: set[asyncio.Queue[pb.ProcessEvent]] = set()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, machine: Machine, config: pb.ProcessConfig, env: Mapping[str, str], cwd: str, *, tag: str, stdin: bool,
    ) -> Execution:  # fmt: skip
        """Start a command; raises Refused."""
        given, stdin_writer = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
        (stdout, stdout_end), (stderr, stderr_end) = pipe(), pipe()
        execution = cls(machine, config, tag, stdin_writer)
        try:
            execution.pid = await machine.start([config.cmd, *config.args], env, cwd, (given, stdout_end, stderr_end))
        except BaseException:  # a client that hangs up meanwhile leaves no pipe either
            for fd in (stdout, stderr):
                os.close(fd)
            execution.close_stdin()
            raise
        finally:
            for fd in (given, stdout_end, stderr_end):
                os.close(fd)
        execution._task = asyncio.create_task(execution._run(stdout, stderr))
        return execution

    async def listen(self, deadline_seconds: float | None = None) -> AsyncIterator[pb.ProcessEvent]:
        """Its start, its output from now on, and its end; whoever leaves, leaves it running."""
        events: asyncio.Queue[pb.ProcessEvent] = asyncio.Queue(_QUEUE_EVENTS)
        self._listeners.add(events)
        self.deadline_seconds = deadline_seconds or self.deadline_seconds
        try:
            async with asyncio.timeout(deadline_seconds):
                yield events_of.start(self.pid)
                while self.end is None or not events.empty():
                    event = await events.get()
                    yield event
                    if event is self.end:
                        return
                yield self.end
        except TimeoutError:
            self.signal(signal.SIGKILL)
            raise
        finally:
            self._listeners.discard(events)
            while not events.empty():  # whoever waits to put something in must not wait for ever
                events.get_nowait()

    def when_over(self, callback: Callable[[], None]) -> None:
        """Call back when its end was told."""
        assert self._task is not None
        self._task.add_done_callback(lambda _: callback())

    def signal(self, number: int) -> None:
        """Send a signal to the leader."""
        self._machine.signal(self.pid, number)

    async def write(self, data: bytes) -> None:
        """Give it input; waits while it does not read."""
        if self._stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                await asyncio.to_thread(_write_all, self._stdin, data)

    def close_stdin(self) -> None:
        """Tell it that no more input comes."""
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    async def _run(self, stdout: int, stderr: int) -> None:
        await asyncio.gather(self._pump(stdout, "stdout"), self._pump(stderr, "stderr"))
        code = await self._machine.ended(self.pid)
        self._machine.forget(self.pid)
        self.close_stdin()
        self.end = events_of.end(code)
        await self._emit(self.end)

    async def _pump(self, fd: int, kind: str) -> None:
        reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
        )
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._emit(events_of.stdout(chunk) if kind == "stdout" else events_of.stderr(chunk))
        finally:
            transport.close()

    async def _emit(self, event: pb.ProcessEvent) -> None:
        for events in list(self._listeners):
            if events in self._listeners:
                await events.put(event)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
