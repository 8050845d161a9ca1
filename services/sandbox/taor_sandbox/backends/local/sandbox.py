"""A handle on one local sandbox: the port's verbs, said to its agent."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import PurePosixPath

from taor_sandbox.agent import messages
from taor_sandbox.backends.errors import FileProblem, FileRefused, PortRefused
from taor_sandbox.backends.local.bwrap import JOURNAL
from taor_sandbox.backends.local.follow import follow
from taor_sandbox.backends.local.helper import Helper, memory
from taor_sandbox.backends.local.streams import archive, unpack
from taor_sandbox.backends.local.wire import Link
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
from taor_sandbox.egress.gateway import Gateway
from taor_sandbox.egress.variables import PORT

_CONNECT_SECONDS = 5.0

_log = logging.getLogger(__name__)


class LocalSandbox:
    """Implements `Sandbox` over one connection with the agent."""

    def __init__(self, provider_id: str, boot_id: str, link: Link, gateway: Gateway) -> None:
        self._provider_id = provider_id
        self._boot_id = boot_id
        self._link = link
        self._gateway = gateway

    @property
    def provider_id(self) -> str:
        """The key itself."""
        return self._provider_id

    @property
    def boot_id(self) -> str:
        """The kernel's boot id at the time when the sandbox was made."""
        return self._boot_id

    async def raise_epoch(self, epoch: int) -> None:
        """Told to the agent, which keeps it in memory and in the journal."""
        await self._link.call(messages.Done, messages.RaiseEpoch(epoch))

    async def write_nonce(self, nonce: str) -> None:
        """Told to the agent, which lays the journal anew if need be."""
        await self._link.call(messages.Done, messages.WriteNonce(nonce))

    async def journal_nonce(self) -> str | None:
        """Read from the journal by the agent, every time."""
        return (await self._link.call(messages.Nonce, messages.ReadNonce())).nonce

    async def claim(self, spec: ClaimSpec) -> bool:
        """One request; check, claim and start happen in one step of the agent."""
        return (await self._link.call(messages.Claimed, claim_of(spec))).fresh

    async def claim_write(self, spec: WriteSpec) -> ClaimState:
        """One request, with the content in a memory file."""
        with memory(spec.content) as content:
            return state_of(await self._link.call(messages.State, write_of(spec), content))

    async def look(self, op_id: str) -> ClaimState:
        """From the exit record, the agent's table and the claim's folder, in this order."""
        return state_of(await self._link.call(messages.State, messages.Look(op_id, False)))

    def follow(self, op_id: str, offsets: Offsets = START) -> AsyncIterator[OutputChunk | Exited | Dead | Unclaimed]:
        """Outputs are read by descriptor here; the agent only tells that the command has ended."""
        return follow(self._link, op_id, offsets)

    def log_path(self, op_id: str, stream: Stream) -> str:
        """Below the journal, in the claim's folder."""
        return f"{JOURNAL}/claims/{op_id.replace('/', '~')}/{stream.value}"

    async def kill(self, op_id: str) -> None:
        """By the agent, which waits until nothing of it is left."""
        await self._link.call(messages.Done, messages.Kill(op_id, "KILLED"))

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
        """Input and outputs are memory files: nobody pumps them, and the limit of a file is the limit of an output."""
        with memory(stdin) as given, memory() as stdout, memory() as stderr:
            most = (output_bytes if file_bytes is None else file_bytes) + 1024
            helper = await Helper.start(self._link, argv, (given, stdout, stderr), cwd, env or {}, most)
            ended = await helper.wait(timeout_seconds)
            if not ended:
                await helper.kill()
            outputs = [messages.read_memory(fd, output_bytes) for fd in (stdout, stderr)]
            full = any(os.fstat(fd).st_size > output_bytes for fd in (stdout, stderr))
        return RunResult(await helper.status(), outputs[0], outputs[1], truncated=full, timed_out=not ended)

    def archive(self, paths: Sequence[str], *, root: str = WORKSPACE) -> AsyncIterator[bytes]:
        """A tar inside writes into a pipe that is read here."""
        return archive(self._link, paths, root)

    async def unpack(self, stream: AsyncIterator[bytes], *, root: str = WORKSPACE) -> None:
        """A tar inside reads from a pipe that is written here."""
        await unpack(self._link, stream, root)

    async def read(self, path: str, *, offset: int = 0, limit: int = MAX_READ_BYTES) -> bytes:
        """The agent opens, as the sandbox sees the path; the bytes are read here."""
        answer = await self._link.ask(messages.Open(_inside(path)))
        fd = answer.fd()
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FileRefused(FileProblem.NOT_REGULAR, f"{path} is not a regular file")
            return await asyncio.to_thread(os.pread, fd, min(limit, MAX_READ_BYTES), offset)
        finally:
            os.close(fd)

    async def stat(self, path: str) -> FileStat:
        """Asked of the agent."""
        found = await self._link.call(messages.Stated, messages.Stat(_inside(path)))
        return FileStat(found.real_path, FileKind(found.kind), found.size_bytes, found.mode, found.mtime_ns)

    async def survey(self, since: str = "") -> Survey:
        """By the agent, which remembers its last one."""
        return survey_of(await self._link.call(messages.Surveyed, messages.Survey(since)))

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The agent begins the connection in the sandbox's network and hands the socket out."""
        answer = await self._link.ask(messages.Dial(port))
        sock = socket.socket(fileno=answer.fd())
        try:
            await _connected(sock)
            return await asyncio.open_connection(sock=sock)
        except (OSError, TimeoutError) as error:
            sock.close()
            raise PortRefused(f"nothing inside accepts connections on port {port}") from error

    async def open_outlet(self) -> None:
        """Serve the proxy of this sandbox from here; the agent listens in the sandbox's network and hands that out."""
        if not self._gateway.is_open:
            return
        try:
            answer = await self._link.ask(messages.Listen(PORT))
        except FileRefused as error:
            _log.warning("a sandbox has no way out: its proxy's port is taken", exc_info=error)
            return
        listener = socket.socket(fileno=answer.fd())
        listener.setblocking(False)
        await self._gateway.serve(self._provider_id, listener)

    def refused_hosts(self) -> Sequence[str]:
        """Told by the proxy."""
        return self._gateway.refused(self._provider_id)

    async def is_idle(self) -> bool:
        """Asked of the agent."""
        return not (await self._link.call(messages.LiveOperations, messages.ListLive())).op_ids

    @contextlib.asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """The agent stops every process and starts no command, as long as this connection lives."""
        await self._link.call(messages.Done, messages.Freeze())
        try:
            yield
        finally:
            if not self._link.closed:
                await self._link.call(messages.Done, messages.Thaw())

    async def close(self) -> None:
        """Hang up."""
        self._link.close()


def _inside(path: str) -> str:
    return str(PurePosixPath(WORKSPACE, path))


async def _connected(sock: socket.socket) -> None:
    """Wait for a connection that the agent began."""
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(sock.fileno(), writable.set)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await writable.wait()
    finally:
        loop.remove_writer(sock.fileno())
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
