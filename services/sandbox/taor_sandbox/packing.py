"""Archives that a program inside the sandbox makes: as a file beside the project, which is read and then removed."""

from collections.abc import AsyncIterator, Sequence
from importlib.resources import files

from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.port import HOME, Sandbox
from taor_sandbox.errors import GitMissing

_PACK_SECONDS = 240.0
_MOST_BYTES = 1024**3
_CHUNK_BYTES = 1024 * 1024
_COMPLAINT_CHARACTERS = 500
_GIT_MISSING = 97
# The project's own history where it has one; else one commit of its files, in a repository beside it.
_BUNDLE = f"""
set -e
command -v git >/dev/null || exit {_GIT_MISSING}
if [ "$(git rev-parse --show-cdup 2>/dev/null)" = "" ] && git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then
  exec git bundle create --quiet "$1" HEAD --all
fi
export GIT_DIR="$1.git" GIT_WORK_TREE="$PWD"
trap 'rm -rf "$GIT_DIR"' EXIT
git init --quiet --initial-branch=main
git add --all
git -c user.name=taor -c user.email=taor@localhost commit --quiet --allow-empty --no-verify -m 'The files of the build'
git bundle create --quiet "$1" HEAD main
"""


async def zipped(sandbox: Sandbox, name: str) -> AsyncIterator[bytes]:
    """The project as a zip archive in pieces; `name` is one that no other archive has."""
    script = files("taor_sandbox").joinpath("packer.py").read_text("utf-8")
    async for piece in _made_by(sandbox, ["python3", "-I", "-S", "-B", "-c", script], name):
        yield piece


async def bundled(sandbox: Sandbox, name: str) -> AsyncIterator[bytes]:
    """The project as a git bundle in pieces; raises GitMissing. Git runs inside only: a repository can run programs."""
    async for piece in _made_by(sandbox, ["/bin/bash", "-c", _BUNDLE, "bundle"], name):
        yield piece


async def _made_by(sandbox: Sandbox, argv: Sequence[str], name: str) -> AsyncIterator[bytes]:
    path = f"{HOME}/.taor-{name}"
    try:
        made = await sandbox.run([*argv, path], timeout_seconds=_PACK_SECONDS, file_bytes=_MOST_BYTES)
        if made.status == _GIT_MISSING:
            raise GitMissing()
        if made.status != 0 or made.timed_out:
            complaint = made.stderr.decode(errors="replace")[-_COMPLAINT_CHARACTERS:]
            raise FileRefused(FileProblem.FAILED, complaint)
        offset = 0
        while piece := await sandbox.read(path, offset=offset, limit=_CHUNK_BYTES):
            offset += len(piece)
            yield piece
    finally:
        await sandbox.run(["rm", "-rf", "--", path, f"{path}.git"])
