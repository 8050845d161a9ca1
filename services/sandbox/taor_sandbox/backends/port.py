"""The port between the sandbox service and whoever runs sandboxes.

Above the port: operation rows, generations, tools, truncation, snapshots. Below: processes, files, isolation. A sandbox
keeps a *journal* inside: the highest epoch it has seen, a nonce, and one *claim* per operation. A claim is made at most
once per `(op_id, sandbox)`, and it outlives the service that made it. An agent inside keeps the journal: locally as the
first process, at E2B started by an exec. Any call may raise `SandboxUnreachable`; `attach` tells what became of it.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from taor_sandbox.backends.errors import FileProblem

WORKSPACE = "/workspace"
HOME = "/home/user"

MAX_COMMAND_BYTES = 100_000
"""Longest command: Linux takes 128 KiB per argument."""
MAX_WRITE_BYTES = 16 * 1024 * 1024
"""Largest content of one journaled write, and largest file whose hash one compares."""
MAX_READ_BYTES = 16 * 1024 * 1024
"""Most bytes that one read or one helper command returns."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use; above it the offending command is killed with a reason."""

    memory_bytes: int = 2 * 1024**3
    processes: int = 512
    disk_bytes: int = 4 * 1024**3
    files: int = 1_000_000
    """Folders and links count too."""
    file_bytes: int = 1024**3
    tmp_bytes: int = 512 * 1024**2
    open_files: int = 1024


@dataclass(frozen=True, slots=True)
class ClaimSpec:
    """A command to be started at most once: `/bin/bash -c command`, in its own session, stdin empty."""

    op_id: str
    epoch: int
    nonce: str
    command: str
    cwd: str = WORKSPACE
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = 120.0
    """After it the whole tree is killed, even while no service is connected; None: never (background commands)."""
    output_bytes: int = 8 * 1024 * 1024
    """Hard cap of stdout and of stderr, each; above it the command is killed with `Ending.OUTPUT_LIMIT`."""
    background: bool = False
    """False: what the shell leaves running is killed before its exit is recorded, so a recorded command is over."""


@dataclass(frozen=True, slots=True)
class WriteSpec:
    """A file to be written at most once, whole or not at all (temporary file, then rename); parent folders are made."""

    op_id: str
    epoch: int
    nonce: str
    path: str
    """Absolute, or relative to the workspace; links are followed, inside the sandbox."""
    content: bytes
    mode: int | None = None
    """Permission bits; None keeps those of the file that is replaced, else 0644."""
    within: str = WORKSPACE
    """The real path must stand below this folder, else `FileProblem.OUTSIDE`."""
    expected_sha256: str | None = None
    """Lower-case hex; the write fails with `FileProblem.CHANGED` unless the file has exactly this content now."""


class Ending(enum.Enum):
    """How a command came to its end."""

    EXITED = "EXITED"
    TIMEOUT = "TIMEOUT"
    KILLED = "KILLED"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    MEMORY_LIMIT = "MEMORY_LIMIT"
    PROCESS_LIMIT = "PROCESS_LIMIT"
    DISK_LIMIT = "DISK_LIMIT"
    FILES_LIMIT = "FILES_LIMIT"


@dataclass(frozen=True, slots=True)
class CommandExit:
    """The exit record of a command."""

    status: int
    """Exit status of the shell; 128 + n when signal n ended it."""
    ending: Ending
    cwd: str | None
    """Working directory when the shell ended; None when it could not say (killed, `exec`, an own EXIT trap)."""
    stdout_bytes: int
    stderr_bytes: int
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class WriteExit:
    """The exit record of a file write."""

    problem: FileProblem | None
    """None: the file is there, whole."""
    detail: str
    sha256: str
    """Of the content that was asked for."""
    created: bool
    """There was no such file before."""


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """No claim of this operation stands in the journal."""


@dataclass(frozen=True, slots=True)
class Live:
    """Claimed, and its shell runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class Dead:
    """Claimed, ended, and nobody knows how: its effect may be there, in part or not at all."""


@dataclass(frozen=True, slots=True)
class Exited:
    """Claimed, ended, recorded."""

    exit: CommandExit | WriteExit


ClaimState = Unclaimed | Live | Dead | Exited


class Stream(enum.Enum):
    """Which of a command's two outputs."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """The next bytes of one output; `offset` counts from the output's beginning."""

    stream: Stream
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Offsets:
    """How much of each output a follower has already."""

    stdout: int = 0
    stderr: int = 0


START = Offsets()


@dataclass(frozen=True, slots=True)
class RunResult:
    """What an un-journaled helper command said."""

    status: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    """An output was longer than the cap; the rest was dropped and the helper killed."""
    timed_out: bool


class FileKind(enum.Enum):
    """What stands at a path."""

    REGULAR = "REGULAR"
    DIRECTORY = "DIRECTORY"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What stands at a path, links followed."""

    real_path: str
    """The path with every link resolved, as seen inside."""
    kind: FileKind
    size_bytes: int
    mode: int
    mtime_ns: int


class Standing(NamedTuple):
    """What stands at a path of the workspace, links not followed."""

    path: str
    """From the workspace; bytes that are no UTF-8 stand as surrogates."""
    mode: int
    """Kind and permissions, as `st_mode` has them: a regular file, a folder or a link."""
    size_bytes: int
    modified_ns: int
    inode: int
    changed_ns: int
    """When its status last changed, which no program can set."""
    target: str
    """Of a link."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The whole workspace at one moment, or what is different from an earlier survey of the same sandbox."""

    stamp: str
    is_whole: bool
    there: Sequence[Standing]
    gone: Sequence[str]
    """Paths that were there; none in a whole survey."""


class Sandbox(Protocol):
    """A handle on one running sandbox; any number of handles, in any number of processes, may be open."""

    @property
    def provider_id(self) -> str:
        """The provider's name for it."""
        ...

    @property
    def boot_id(self) -> str:
        """Changes when the machine below was restarted: what was written before may be missing."""
        ...

    async def raise_epoch(self, epoch: int) -> None:
        """Leave `epoch` inside: a lower one starts nothing any more, pauses nothing, and its freeze is over.

        Raises `StaleEpoch` when a higher one is there."""
        ...

    async def write_nonce(self, nonce: str) -> None:
        """Lay an empty journal when there is none, and put this nonce into it; claims that are there stay."""
        ...

    async def journal_nonce(self) -> str | None:
        """The nonce in the journal; None when the journal was never laid, or was deleted."""
        ...

    async def claim(self, spec: ClaimSpec) -> bool:
        """Start a command, once: True when this call made the claim, False when the claim was there before.

        Raises `StaleEpoch`, `JournalWiped`, `SandboxFrozen` (nothing was started), `InvalidRequest`."""
        ...

    async def claim_write(self, spec: WriteSpec) -> ClaimState:
        """Write a file, once, and return the state of its claim, whoever made it. Raises as `claim` does."""
        ...

    async def look(self, op_id: str) -> ClaimState:
        """The state of an operation's claim, now."""
        ...

    def follow(self, op_id: str, offsets: Offsets = START) -> AsyncIterator[OutputChunk | Exited | Dead | Unclaimed]:
        """Yield output from `offsets` on, then the end state once; leaving the iteration leaves the command alone."""
        ...

    def log_path(self, op_id: str, stream: Stream) -> str:
        """Where an output of an operation stands as long as its claim does: a file inside that commands can read."""
        ...

    async def kill(self, op_id: str) -> None:
        """Kill every process of an operation and return when they are gone; nothing to kill is no error."""
        ...

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
        """Run a helper that changes no project file (grep, glob, a tree hash); no claim, may be repeated.

        A file that it writes may have `file_bytes`; None: as many as an output."""
        ...

    def archive(self, paths: Sequence[str], *, root: str = WORKSPACE) -> AsyncIterator[bytes]:
        """A tar stream of `paths` relative to `root`, made inside; raises `FileRefused` when tar fails."""
        ...

    async def unpack(self, stream: AsyncIterator[bytes], *, root: str = WORKSPACE) -> None:
        """Unpack a tar stream below `root`, inside; raises `FileRefused` when tar fails. Not atomic."""
        ...

    async def read(self, path: str, *, offset: int = 0, limit: int = MAX_READ_BYTES) -> bytes:
        """Bytes of a regular file; raises `FileRefused`."""
        ...

    async def stat(self, path: str) -> FileStat:
        """What stands at `path`; raises `FileRefused` with NOT_FOUND when nothing does."""
        ...

    async def survey(self, since: str = "") -> Survey:
        """What stands in the workspace; only the differences from the survey with the stamp `since`, if that is known.

        Raises `FileRefused` when something cannot be read as it stands, or when there is too much to say at once."""
        ...

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A byte stream to a TCP port on the sandbox's own loopback; raises `PortRefused`."""
        ...

    def refused_hosts(self) -> Sequence[str]:
        """What commands asked for since the last call and the allow-list refused, as far as the provider tells."""
        ...

    async def is_idle(self) -> bool:
        """Whether nothing of an operation runs now, in the background either."""
        ...

    def frozen(self) -> AbstractAsyncContextManager[None]:
        """While held, no claim starts (`SandboxFrozen`) and commands stand still; helpers (`run`, `archive`) work.

        It ends with the holder's connection at the latest. Raises `SandboxFrozen` when somebody else holds it."""
        ...

    async def close(self) -> None:
        """Let go of the handle; the sandbox and its commands go on."""
        ...


class SandboxStatus(enum.Enum):
    """Whether a sandbox has processes."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True)
class SandboxListing:
    """One sandbox that the provider knows as ours."""

    provider_id: str
    key: str
    status: SandboxStatus


class Backend(Protocol):
    """A provider of sandboxes."""

    async def create(self, key: str, limits: Limits) -> Sandbox:
        """A sandbox named `build_id/generation`, with an empty workspace; the same key again gives the same sandbox."""
        ...

    async def attach(self, provider_id: str) -> Sandbox:
        """A handle on a sandbox; a paused one is woken. Raises `SandboxGone` or `SandboxUnreachable`."""
        ...

    async def pause(self, provider_id: str, epoch: int, *, only_idle: bool = False) -> None:
        """End its use of CPU and memory, keep its files and journal; what ran may be Dead afterwards.

        Raises `StaleEpoch`, and ends nothing, where a higher epoch is inside: somebody else works there by now; and
        with `only_idle` `SandboxBusy` where anything of an operation runs, in the background too."""
        ...

    async def destroy(self, provider_id: str) -> None:
        """Return when it is certain that nothing of it runs and its files are gone; gone already is no error."""
        ...

    async def keepalive(self, provider_id: str) -> float | None:
        """Put off the provider's own time-out of an idle sandbox.

        Returns the seconds until it stops the sandbox all the same, unless that sleeps and wakes; None: it never does.
        """
        ...

    async def list(self) -> Sequence[SandboxListing]:
        """Every sandbox of ours that the provider knows, running or paused."""
        ...

    async def close(self) -> None:
        """Let go of every handle; the sandboxes go on."""
        ...
