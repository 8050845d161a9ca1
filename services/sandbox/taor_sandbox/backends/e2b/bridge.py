"""One run of the bridge: a command of E2B that carries one request to the agent inside, and its answer back.

Traps that are answered here: a command's output is text; what is said while nobody listens is lost; a command outlives
the connection that started it; a background command dies after 60 s unless its time-out is 0.
"""

import asyncio
import contextlib
import shlex
import uuid
from collections.abc import AsyncIterator
from types import TracebackType

from e2b import AsyncSandbox, CommandExitException
from e2b.sandbox_async.commands.command_handle import AsyncCommandHandle

from taor_sandbox.agent.messages import Refused
from taor_sandbox.agent.processes import BRIDGE_VARIABLE
from taor_sandbox.backends.e2b.inside import frames, layout, requests
from taor_sandbox.backends.e2b.inside.frames import Frame, Told
from taor_sandbox.backends.e2b.inside.requests import Request
from taor_sandbox.backends.e2b.troubles import Passing, meaning, translated
from taor_sandbox.backends.errors import BackendError
from taor_sandbox.backends.states import meaning as meaning_of_refusal
from taor_sandbox.egress.refusals import Refusals

USER = "user"
NO_LIBRARY = 2
"""What Python exits with when the library is not there."""
_INLINE_BYTES = 32 * 1024
"""Longer requests are uploaded: the command is one argument of a shell, and Linux takes 128 KiB."""
_QUEUE_FRAMES = 32
_COMPLAINT_CHARACTERS = 2000
_END_SECONDS = 10.0


class NotInstalled(BackendError):
    """The sandbox was made by somebody who died before he could lay the agent into it, or by another release."""


class Bridge:
    """Made by `open`; an async context that leaves nothing running inside."""

    def __init__(self, sandbox: AsyncSandbox, refusals: Refusals) -> None:
        self._sandbox = sandbox
        self._refusals = refusals
        self._frames: asyncio.Queue[Frame | BackendError | None] = asyncio.Queue(_QUEUE_FRAMES)
        self._line = ""
        self._complaint = ""
        self._over = False
        self._handle: AsyncCommandHandle[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, sandbox: AsyncSandbox, library: str, request: Request, refusals: Refusals, *, stdin: bool = False
    ) -> "Bridge":
        """Start it; refused hosts that it tells of are noted in `refusals`. Raises errors of the port."""
        bridge = cls(sandbox, refusals)
        with translated():
            argument = requests.encode(request)
            if len(argument) > _INLINE_BYTES:
                argument = requests.IN_FILE + await upload(sandbox, argument.encode())
            bridge._handle = await sandbox.commands.run(
                f"exec python3 -I -S {library} {shlex.quote(argument)}",
                background=True,
                envs={BRIDGE_VARIABLE: "1"},
                user=USER,
                cwd="/",
                on_stdout=bridge._hear,
                on_stderr=bridge._hear_complaint,
                stdin=stdin,
                timeout=0,
                retain_output=False,
            )
        bridge._watching = asyncio.create_task(bridge._watch(bridge._handle))
        return bridge

    async def __aenter__(self) -> "Bridge":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def next(self) -> Frame:
        """The next frame; raises the error that a refusal stands for, and Passing when there is none any more."""
        item = None if self._over and self._frames.empty() else await self._frames.get()
        match item:
            case Refused():
                raise meaning_of_refusal(item)
            case BackendError():
                raise item
            case None:
                self._over = True
                raise Passing(f"the bridge has ended: {self._complaint}")
            case frame:
                return frame

    async def only(self) -> Frame:
        """The frame of a request that has one, once the bridge has ended: then nothing needs to be killed."""
        frame = await self.next()
        if self._watching is not None:
            await asyncio.wait([self._watching], timeout=_END_SECONDS)
        return frame

    async def frames(self) -> AsyncIterator[Frame]:
        """Every frame until the caller leaves."""
        while True:
            yield await self.next()

    async def send(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self._handle is not None
        with translated():
            await self._handle.send_stdin(data)

    async def end_input(self) -> None:
        """Close its standard input."""
        assert self._handle is not None
        with translated():
            await self._handle.close_stdin()

    async def close(self) -> None:
        """End it, if it has not ended itself; its helpers end with it."""
        handle, watching = self._handle, self._watching
        if handle is None or watching is None:
            return
        self._handle = None
        if not watching.done():
            with contextlib.suppress(BackendError, TimeoutError):  # it ends with its sandbox, or by itself
                await asyncio.shield(_kill(handle))
        watching.cancel()
        await asyncio.wait([watching])
        with translated():
            await handle.disconnect()

    async def _watch(self, handle: AsyncCommandHandle[None]) -> None:
        ending: BackendError | None = None
        try:
            await handle.wait()
        except CommandExitException as ended:
            if ended.exit_code == NO_LIBRARY:
                ending = NotInstalled(self._complaint)
        except Exception as error:  # as in `translated`: whatever the SDK raises goes to who waits for a frame
            ending = meaning(error)
        await self._frames.put(ending)

    async def _hear(self, text: str) -> None:
        """Take whole lines; the queue's bound reaches back to the command through every buffer on the way."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            try:
                frame = frames.parse(line)
            except ValueError as error:
                await self._frames.put(Passing(str(error)))
                continue
            if isinstance(frame, Told):
                for host in frame.hosts if isinstance(frame.hosts, list) else ():
                    self._refusals.note(str(host))
            else:
                await self._frames.put(frame)

    def _hear_complaint(self, text: str) -> None:
        self._complaint = (self._complaint + text)[-_COMPLAINT_CHARACTERS:]


async def upload(sandbox: AsyncSandbox, content: bytes | AsyncIterator[bytes]) -> str:
    """Lay a file for the bridge, which removes it; returns its path inside."""
    path = f"{layout.UPLOADS}/{uuid.uuid4().hex}"
    with translated():
        await sandbox.files.write(path, content, user=USER, use_octet_stream=True)
    return path


async def _kill(handle: AsyncCommandHandle[None]) -> None:
    async with asyncio.timeout(_END_SECONDS):
        with translated():
            await handle.kill()
