"""Archives that a program inside the sandbox makes: as a file, which is read and then removed.

It stands in a folder of its own beside the outputs of operations, where the agent writes too: HOME may be locked.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import PurePosixPath

from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.port import Sandbox, Stream
from taor_sandbox.copies import readable
from taor_sandbox.errors import GitMissing

_PACK_SECONDS = 240.0
_MOST_BYTES = 1024**3
_CHUNK_BYTES = 1024 * 1024
_COMPLAINT_CHARACTERS = 500
_MOST_NAMED = 20
_PREFIX = "archive-"
_LONGEST_DOWNLOAD_MINUTES = 60
_GIT_MISSING = 97
_NO_ROOM = 98
# What a service that was killed has left is nobody's; what is younger may be another download's.
_LAY = f"""
mkdir -p -- "$1" || exit {_NO_ROOM}
exec find "${{1%/*}}" -maxdepth 1 -name '{_PREFIX}*' -mmin +{_LONGEST_DOWNLOAD_MINUTES} -exec rm -rf -- {{}} +
"""
# The project's own history where it has one; else one commit of its files, in a repository beside it, without those
# that standard input excludes.
_BUNDLE = f"""
set -e
command -v git >/dev/null || exit {_GIT_MISSING}
if [ "$(git rev-parse --show-cdup 2>/dev/null)" = "" ] && git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then
  exec git bundle create --quiet "$1" HEAD --all
fi
export GIT_DIR="$1.git" GIT_WORK_TREE="$PWD"
git init --quiet --initial-branch=main
git add --all --pathspec-from-file=- --pathspec-file-nul
git -c user.name=taor -c user.email=taor@localhost commit --quiet --allow-empty --no-verify -m "$2"
git bundle create --quiet "$1" HEAD main
"""


async def zipped(sandbox: Sandbox, name: str) -> AsyncIterator[bytes]:
    """The project as a zip archive in pieces; `name` is one that no other archive has. Nothing in it may be locked."""
    script = files("taor_sandbox").joinpath("packer.py").read_text("utf-8")
    async with _place(sandbox, name) as path:
        await _make(sandbox, ["python3", "-I", "-S", "-B", "-c", script, path])
        async for piece in _pieces(sandbox, path):
            yield piece


async def bundled(sandbox: Sandbox, name: str, starting: asyncio.Lock) -> AsyncIterator[bytes]:
    """The project as a git bundle in pieces; raises GitMissing, and SnapshotFailed and SandboxFrozen as a copy does.

    Git runs inside only: a repository can run programs. What it may not read is named in the message of the commit.
    """
    async with _place(sandbox, name) as path:
        async with readable(sandbox, starting) as left_out:
            await _make(sandbox, ["/bin/bash", "-c", _BUNDLE, "bundle", path, _message(left_out)], _without(left_out))
        async for piece in _pieces(sandbox, path):
            yield piece


@asynccontextmanager
async def _place(sandbox: Sandbox, name: str) -> AsyncIterator[str]:
    """The path of a file in a folder that is there within the block."""
    folder = str(PurePosixPath(sandbox.log_path(f"{_PREFIX}{name}", Stream.STDOUT)).parent)
    try:
        laid = await sandbox.run(["/bin/bash", "-c", _LAY, "lay", folder])
        if laid.status == _NO_ROOM:
            raise FileRefused(FileProblem.FAILED, laid.stderr.decode(errors="replace")[-_COMPLAINT_CHARACTERS:])
        yield f"{folder}/archive"
    finally:
        await sandbox.run(["rm", "-rf", "--", folder])


async def _make(sandbox: Sandbox, argv: Sequence[str], stdin: bytes = b"") -> None:
    made = await sandbox.run(argv, stdin=stdin, timeout_seconds=_PACK_SECONDS, file_bytes=_MOST_BYTES)
    if made.status == _GIT_MISSING:
        raise GitMissing()
    if made.status != 0 or made.timed_out:
        raise FileRefused(FileProblem.FAILED, made.stderr.decode(errors="replace")[-_COMPLAINT_CHARACTERS:])


async def _pieces(sandbox: Sandbox, path: str) -> AsyncIterator[bytes]:
    offset = 0
    while piece := await sandbox.read(path, offset=offset, limit=_CHUNK_BYTES):
        offset += len(piece)
        yield piece


def _message(left_out: Sequence[str]) -> str:
    if not left_out:
        return "The files of the build"
    named = [f"  {path!a}" for path in left_out[:_MOST_NAMED]]
    more = [f"  and {len(left_out) - _MOST_NAMED} more"] if len(left_out) > _MOST_NAMED else []
    return "\n".join(["The files of the build", "", "Left out, locked by another user:", *named, *more])


def _without(left_out: Sequence[str]) -> bytes:
    """Pathspecs that exclude these, each ended by a zero byte."""
    return b"".join(f":(exclude,literal){path}\0".encode("utf-8", "surrogateescape") for path in left_out)
