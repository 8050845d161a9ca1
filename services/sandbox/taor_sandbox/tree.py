"""Takes stock of the files inside a sandbox."""

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.errors import SnapshotFailed
from taor_sandbox.manifest import Manifest

_WALK_SECONDS = 120.0
_MESSAGE_CHARACTERS = 500
_MOST_NAMED = 20

_log = logging.getLogger(__name__)


async def take_stock(sandbox: Sandbox, before: Manifest | None = None) -> Manifest:
    """The manifest of the project as it stands; `before` saves reading what has not changed. Raises SnapshotFailed."""
    known = json.dumps(before.fingerprints() if before else {}).encode()
    walk = await sandbox.run(_python("treewalk.py"), stdin=known, timeout_seconds=_WALK_SECONDS)
    if walk.truncated or walk.timed_out:
        raise SnapshotFailed("the project has more files than a snapshot can hold")
    if walk.status != 0:
        raise SnapshotFailed(walk.stderr.decode(errors="replace")[-_MESSAGE_CHARACTERS:])
    try:
        return Manifest.walked(walk.stdout)
    except ValueError as error:
        raise SnapshotFailed(str(error)) from error


async def has_locked(sandbox: Sandbox) -> bool:
    """Whether a file or folder of the project cannot be read as it stands."""
    folders = ["-type", "d", "!", "(", "-readable", "-executable", ")"]
    wanted = ["(", "-type", "f", "!", "-readable", "-o", *folders, ")"]
    found = await sandbox.run(["find", ".", *wanted, "-print", "-quit"], timeout_seconds=_WALK_SECONDS)
    return bool(found.stdout)


def report_unreadable(manifest: Manifest) -> None:
    """Name what is left out in the log: nobody else can tell, for it looks as if it were not there."""
    if manifest.unreadable:
        paths = ", ".join(map(ascii, manifest.unreadable[:_MOST_NAMED]))
        _log.error("%d paths are left out, unreadable: %s", len(manifest.unreadable), paths)


@contextlib.asynccontextmanager
async def unlocked(sandbox: Sandbox, modes: Mapping[str, int]) -> AsyncIterator[None]:
    """Let the owner read these paths within the block; afterwards they have their modes again."""
    if not modes:
        yield
        return
    told = json.dumps(modes).encode()
    await sandbox.run([*_python("treelock.py"), "unlock"], stdin=told, timeout_seconds=_WALK_SECONDS)
    try:
        yield
    finally:
        await sandbox.run([*_python("treelock.py"), "lock"], stdin=told, timeout_seconds=_WALK_SECONDS)


def _python(script: str) -> list[str]:
    return ["python3", "-I", "-S", "-B", "-c", files("taor_sandbox").joinpath(script).read_text("utf-8")]
