"""The journal: `nonce`, `epoch`, and `claims/<op>/{stdout,stderr,cwd,exit}`.

The commands run under the same user and can delete it; they are found out by the nonce, which goes with it.
"""

import json
import os
from typing import NamedTuple

MAX_NAME_BYTES = 200
CANNOT_START = 126
_MAX_BYTES = 8192
_EXIT = "exit"
_NEVER_WAIT = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
"""A command can lay a pipe or a link where a file is expected."""
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")


class CommandRecord(NamedTuple):
    """How a command ended; see `CommandExit` of the port."""

    status: int
    ending: str
    cwd: str | None
    stdout_bytes: int
    stderr_bytes: int
    elapsed_seconds: float


class WriteRecord(NamedTuple):
    """How a file write ended; see `WriteExit` of the port."""

    problem: str | None
    detail: str
    sha256: str
    created: bool


Record = CommandRecord | WriteRecord
_RECORDS: dict[str, type[Record]] = {"COMMAND": CommandRecord, "WRITE": WriteRecord}


def valid_op_id(op_id: str) -> bool:
    """Whether it can name a claim."""
    return 0 < len(op_id) <= MAX_NAME_BYTES and _CHARACTERS.issuperset(op_id) and op_id.strip("./") == op_id


class Journal:
    """Reads and writes the journal folder; knows nothing of processes."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._claims = os.path.join(root, "claims")
        self._epoch = int(_read(os.path.join(root, "epoch")) or 0)

    @property
    def epoch(self) -> int:
        """The highest epoch seen; kept in memory too, so that deleting the journal does not lower it."""
        return self._epoch

    def raise_epoch(self, epoch: int) -> None:
        """Remember a higher epoch."""
        self._epoch = epoch
        write_whole(os.path.join(self._root, "epoch"), str(epoch))

    def nonce(self) -> str | None:
        """The nonce, or None when the journal is not there."""
        return _read(os.path.join(self._root, "nonce")) or None

    def lay(self, nonce: str) -> None:
        """Make the folder of claims if need be, then write the nonce."""
        os.makedirs(self._claims, exist_ok=True)
        write_whole(os.path.join(self._root, "nonce"), nonce)
        if self._epoch:
            self.raise_epoch(self._epoch)

    @property
    def folders(self) -> tuple[str, str]:
        """What has to be open for anything to be read or recorded; the outer one first."""
        return self._root, self._claims

    def folder(self, op_id: str) -> str:
        """Where the claim of this operation stands."""
        return os.path.join(self._claims, op_id.replace("/", "~"))

    def is_claimed(self, op_id: str) -> bool:
        """Whether a claim of this operation was made."""
        return os.path.isdir(self.folder(op_id))

    def make_folder(self, op_id: str) -> str:
        """Make the folder of a claim; raises FileExistsError when it is there, FileNotFoundError without a journal.

        It comes with the file that the exit record will be written to: where there is no inode for that, there is no
        claim either, and how an operation ended is never lost for want of one."""
        folder = self.folder(op_id)
        os.mkdir(folder, 0o700)
        try:
            os.close(
                os.open(_temporary(f"{folder}/{_EXIT}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_WAIT, 0o600)
            )
        except OSError:
            os.rmdir(folder)
            raise
        return folder

    def take_back(self, op_id: str) -> None:
        """Remove the claim of a command of which it is certain that nothing was started."""
        folder = self.folder(op_id)
        for name in os.listdir(folder):
            os.unlink(f"{folder}/{name}")
        os.rmdir(folder)

    def cwd(self, op_id: str) -> str | None:
        """The working directory that the shell left behind."""
        return (_read(os.path.join(self.folder(op_id), "cwd")) or "").removesuffix("\n") or None

    def record(self, op_id: str, record: Record) -> None:
        """Write the exit record; raises OSError when the claim's folder was deleted."""
        kind = "COMMAND" if isinstance(record, CommandRecord) else "WRITE"
        write_whole(os.path.join(self.folder(op_id), _EXIT), json.dumps([kind, *record]))

    def record_unstarted(self, op_id: str, reason: str) -> None:
        """Record a command that the system did not start, in the way of a shell that cannot find its program."""
        said = f"taor: the command could not be started: {reason}\n"
        write_whole(os.path.join(self.folder(op_id), "stdout"), "")
        write_whole(os.path.join(self.folder(op_id), "stderr"), said)
        self.record(op_id, CommandRecord(CANNOT_START, "EXITED", None, 0, len(said.encode()), 0.0))

    def exit(self, op_id: str) -> Record | None:
        """The exit record, or None when there is none that can be read."""
        try:
            kind, *fields = json.loads(_read(os.path.join(self.folder(op_id), _EXIT)) or "")
            return _RECORDS[kind](*fields)
        except (ValueError, KeyError, TypeError):
            return None


def _temporary(path: str) -> str:
    return f"{path}.new"


def write_whole(path: str, text: str) -> None:
    """Write a small file by rename, so that a reader sees all of it or nothing."""
    temporary = _temporary(path)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NEVER_WAIT, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
    os.rename(temporary, path)


def _read(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | _NEVER_WAIT)
    except OSError:
        return None
    try:
        return os.read(fd, _MAX_BYTES).decode()
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
