"""A handle on one E2B sandbox: the port's verbs, said to the agent inside through bridges."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from e2b import AsyncSandbox

from taor_sandbox.agent import messages
from taor_sandbox.backends.e2b import dialling, freezing, helper
from taor_sandbox.backends.e2b.bridge import Bridge, upload
from taor_sandbox.backends.e2b.following import follow
from taor_sandbox.backends.e2b.inside import frames, layout, requests
from taor_sandbox.backends.e2b.inside.frames import Frame
from taor_sandbox.backends.e2b.inside.requests import Request
from taor_sandbox.backends.e2b.troubles import patiently, translated
from taor_sandbox.backends.errors import SandboxUnreachable
from taor_sandbox.backends.orders import claim_of, write_of
from taor_sandbox.backends.port import (
    MAX_READ_BYTES,
    START,
    WORKSPACE,
    ClaimSpec,
    ClaimState,
    Dead,
    Exited,
    FileKind,
    FileStat,
    Offsets,
    OutputChunk,
    RunResult,
    Stream,
    Survey,
    Unclaimed,
    WriteSpec,
)
from taor_sandbox.backends.states import state_of, survey_of
from taor_sandbox.egress.refusals import Refusals

_SYNC_SECONDS = 30.0
_Frame = TypeVar("_Frame", bound=Frame)


class E2BSandbox:
    """Implements `Sandbox`; made by `E2BBackend`."""

    def __init__(self, sandbox: AsyncSandbox, library: str, lease_seconds: float) -> None:
        self._sandbox = sandbox
        self._library = library
        self._lease_seconds = lease_seconds
        self._boot_id = ""
        self._refusals = Refusals()
        self._bridges: set[Bridge] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def provider_id(self) -> str:
        """E2B's name for it."""
        return self._sandbox.sandbox_id

    @property
    def boot_id(self) -> str:
        """Of the machine's kernel: a resume from memory keeps it, a boot from disk does not."""
        return self._boot_id

    async def greet(self) -> None:
        """See that the agent lives and on which machine; raises NotInstalled."""
        self._boot_id = (await self._call(frames.Machine, requests.Hello())).boot_id

    async def raise_epoch(self, epoch: int) -> None:
        """Leave `epoch` inside, or raise StaleEpoch."""
        await self._call(messages.Done, messages.RaiseEpoch(epoch))

    async def write_nonce(self, nonce: str) -> None:
        """Lay the journal with this nonce."""
        await self._call(messages.Done, messages.WriteNonce(nonce))

    async def journal_nonce(self) -> str | None:
        """The nonce in the journal, if there is one."""
        return (await self._call(messages.Nonce, messages.ReadNonce())).nonce

    async def claim(self, spec: ClaimSpec) -> bool:
        """Start a command, once.

        After a broken answer it is asked again, and cannot tell its own claim any more: False, though it was made."""
        return (await self._call(messages.Claimed, claim_of(spec))).fresh

    async def claim_write(self, spec: WriteSpec) -> ClaimState:
        """Write a file, once. The content is uploaded beside the journal first: E2B's own writes are not atomic."""
        message = write_of(spec)

        async def attempt() -> Frame:
            content = await upload(self._sandbox, spec.content)
            async with self.opened(requests.Write(messages.words(message), content)) as bridge:
                return await bridge.only()

        return state_of(_expected(messages.State, await patiently(attempt)))

    async def look(self, op_id: str) -> ClaimState:
        """The state of an operation's claim."""
        return state_of(await self._call(messages.State, messages.Look(op_id, False)))

    def follow(self, op_id: str, offsets: Offsets = START) -> AsyncIterator[OutputChunk | Exited | Dead | Unclaimed]:
        """Yield output from `offsets` on, then the end state; a broken connection is taken up where it broke."""
        return follow(self, op_id, offsets, self._lease_seconds)

    def log_path(self, op_id: str, stream: Stream) -> str:
        """Where an output of an operation stands inside."""
        return f"{layout.JOURNAL}/claims/{op_id.replace('/', '~')}/{stream.value}"

    async def kill(self, op_id: str) -> None:
        """Kill every process of an operation: by the agent, since E2B's own kill hits the leader alone."""
        await self._call(messages.Done, messages.Kill(op_id, "KILLED"))

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: str = WORKSPACE,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
        output_bytes: int = MAX_READ_BYTES,
        file_bytes: int | None = None,
    ) -> RunResult:
        """Run a helper to its end; outputs are pipes here, so files need no cap for their sake."""
        request = helper.run_request(argv, stdin, cwd, env or {}, timeout_seconds, output_bytes)
        return await patiently(lambda: helper.run(self, request))

    def archive(self, paths: Sequence[str], *, root: str = WORKSPACE) -> AsyncIterator[bytes]:
        """A tar stream of `paths`, made inside."""
        return helper.archive(self, paths, root)

    async def unpack(self, stream: AsyncIterator[bytes], *, root: str = WORKSPACE) -> None:
        """Unpack a tar stream, inside."""
        await helper.unpack(self, await upload(self._sandbox, stream), root)

    async def read(self, path: str, *, offset: int = 0, limit: int = MAX_READ_BYTES) -> bytes:
        """Bytes of a regular file."""
        request = requests.Read(_inside(path), offset, min(limit, MAX_READ_BYTES))
        return await patiently(lambda: helper.read(self, request))

    async def stat(self, path: str) -> FileStat:
        """What stands at `path`."""
        found = await self._call(messages.Stated, messages.Stat(_inside(path)))
        return FileStat(found.real_path, FileKind(found.kind), found.size_bytes, found.mode, found.mtime_ns)

    async def survey(self, since: str = "") -> Survey:
        """By the agent, which remembers its last one."""
        return survey_of(await self._call(messages.Surveyed, messages.Survey(since)))

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A byte stream to a port inside, carried by a bridge: E2B's own addresses take HTTP only, and are public."""
        return await dialling.connect(self, port)

    def refused_hosts(self) -> Sequence[str]:
        """Told by the teller inside, at the end of each command and helper: E2B's firewall tells nobody."""
        return self._refusals.take()

    async def is_idle(self) -> bool:
        """Asked of the agent."""
        return not (await self._call(messages.LiveOperations, messages.ListLive())).op_ids

    def frozen(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold a freeze; it ends by itself soon after this service has fallen silent."""
        return freezing.frozen(self, self._lease_seconds)

    async def shut_down(self, epoch: int, *, only_idle: bool = False) -> None:
        """End the agent and all that runs inside, and write the disk out; the files stay.

        Raises StaleEpoch where a higher one is inside, and SandboxBusy where something runs that `only_idle` spares."""
        with contextlib.suppress(SandboxUnreachable):  # the bridge dies with what it asks to end
            async with self.opened(messages.Shutdown(epoch, only_idle)) as bridge:
                await bridge.only()
        with translated():
            await self._sandbox.commands.run("sync", user="root", cwd="/", timeout=_SYNC_SECONDS)

    async def close(self) -> None:
        """Let go: end every bridge of this handle."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(bridge.close() for bridge in list(self._bridges)))

    @contextlib.asynccontextmanager
    async def opened(self, request: Request, *, stdin: bool = False) -> AsyncIterator[Bridge]:
        """A bridge that carries `request`; it is gone at the end of the block."""
        if self._closed:
            raise SandboxUnreachable("the handle was closed")
        async with await Bridge.open(self._sandbox, self._library, request, self._refusals, stdin=stdin) as bridge:
            self._bridges.add(bridge)
            try:
                yield bridge
            finally:
                self._bridges.discard(bridge)

    def keep(self, task: "asyncio.Task[None]") -> None:
        """Let a task live until the handle is closed, at most."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, kind: type[_Frame], request: Request) -> _Frame:
        async def attempt() -> Frame:
            async with self.opened(request) as bridge:
                return await bridge.only()

        return _expected(kind, await patiently(attempt))


def _expected(kind: type[_Frame], frame: Frame) -> _Frame:
    if not isinstance(frame, kind):
        raise SandboxUnreachable(f"the agent answered {type(frame).__name__} where {kind.__name__} was due")
    return frame


def _inside(path: str) -> str:
    return str(PurePosixPath(WORKSPACE, path))
