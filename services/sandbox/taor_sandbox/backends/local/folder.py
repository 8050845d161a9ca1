"""The folder of one sandbox on the host: `<root>/<build>/<generation>/{workspace,home,journal,etc}`, and its state.

Only the first three are writable inside. The agent holds `lock` for as long as it lives; `state.json` says who it is.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taor_sandbox.backends.errors import InvalidRequest, SandboxGone
from taor_sandbox.backends.port import Limits

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}/[0-9]{1,10}")
_UIDS = 1_500
"""How many sandboxes root can have at once; from the usual first id on it stops short of `nobody`, 65534."""


@dataclass(frozen=True, slots=True)
class State:
    """What the host knows of a sandbox, across restarts of the service."""

    key: str
    boot_id: str
    uid: int | None
    limits: Limits
    agent_pid: int = 0
    agent_start: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths of one sandbox."""

    path: Path
    release: str = ""
    """Of the agent that is started here, which its address carries."""

    @property
    def workspace(self) -> Path:
        """Seen inside as /workspace."""
        return self.path / "workspace"

    @property
    def home(self) -> Path:
        """Seen inside as /home/user."""
        return self.path / "home"

    @property
    def journal(self) -> Path:
        """Seen inside below /run/taor."""
        return self.path / "journal"

    @property
    def etc(self) -> Path:
        """The few files of /etc that are the sandbox's own."""
        return self.path / "etc"

    @property
    def log(self) -> Path:
        """What bubblewrap and the agent have to complain about."""
        return self.path / "agent.log"

    def lay(self, state: State, inside_uid: int) -> None:
        """Make what is missing; the state last, so that a sandbox with a state is whole."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.workspace, self.home, self.journal):
            folder.mkdir(exist_ok=True, mode=0o755)
            if state.uid is not None:
                os.chown(folder, state.uid, state.uid)
        self.etc.mkdir(exist_ok=True, mode=0o755)
        (self.etc / "passwd").write_text(
            f"root:x:0:0:root:/:/bin/false\nuser:x:{inside_uid}:{inside_uid}:user:/home/user:/bin/bash\n"
        )
        (self.etc / "group").write_text(f"root:x:0:\nuser:x:{inside_uid}:\n")
        (self.etc / "hosts").write_text("127.0.0.1 localhost sandbox\n::1 localhost\n")
        self.write_state(state)

    def write_state(self, state: State) -> None:
        """Replace the state by rename."""
        temporary = self.path / "state.json.new"
        temporary.write_text(json.dumps(dataclasses.asdict(state)))
        temporary.rename(self.path / "state.json")

    def read_state(self) -> State:
        """What was written last; raises SandboxGone when there is no such sandbox."""
        try:
            found = json.loads((self.path / "state.json").read_text())
        except FileNotFoundError as error:
            raise SandboxGone(f"there is no sandbox {self.path.name}") from error
        return State(**{**found, "limits": Limits(**found["limits"])})

    def try_lock(self) -> int | None:
        """The agent's lock as a descriptor, or None while an agent lives or is being started.

        Raises SandboxGone when the folder is not there any more.
        """
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            raise SandboxGone(f"there is no sandbox {self.path.name}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    @property
    def socket(self) -> Path:
        """Where an agent of our release listens."""
        return self.path / f"agent-{self.release}.sock"

    def sockets(self) -> list[Path]:
        """Where agents of any release listen, or have listened."""
        return sorted(self.path.glob("agent*.sock"))

    @contextlib.contextmanager
    def short(self, socket: Path) -> Iterator[str]:
        """A socket by a short name: its path may have 107 bytes only."""
        folder = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{folder}/{socket.name}"
        finally:
            os.close(folder)


class Shelf:
    """All sandboxes' folders below one root."""

    def __init__(self, root: Path, release: str = "") -> None:
        self.root = root
        self._release = release

    def lay(self) -> None:
        """Make the folders that all sandboxes share: what is destroyed makes room, and so it may need none."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.trash.mkdir(exist_ok=True)

    @property
    def trash(self) -> Path:
        """Where sandboxes go that are taken off the shelf, to be deleted."""
        return self.root / ".trash"

    def folder(self, key: str) -> Folder:
        """The folder of a key `build_id/generation`; raises InvalidRequest when it is none."""
        if not _KEY.fullmatch(key):
            raise InvalidRequest(f"{key!r} is not build_id/generation")
        return Folder(self.root / key, self._release)

    def folders(self) -> list[Folder]:
        """Every sandbox that was laid whole."""
        return [Folder(path.parent, self._release) for path in sorted(self.root.glob("[!.]*/*/state.json"))]

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Held by whoever makes a sandbox or counts user ids: a moment, among all services of this root."""
        lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def free_unused_uids(self) -> None:
        """Give back what a service that died while it destroyed a sandbox has kept."""
        with self.alone():
            used = {folder.read_state().uid for folder in self.folders()}
            for path in (self.root / ".uids").glob("*"):
                if int(path.name) not in used:
                    self.free_uid(int(path.name))

    def take_uid(self, first: int) -> int:
        """A user id from `first` on that no other sandbox of this root has."""
        for uid in range(first, first + _UIDS):
            with contextlib.suppress(FileExistsError):
                (self.root / ".uids" / str(uid)).mkdir(parents=True)
                return uid
        raise InvalidRequest("every user id for sandboxes is taken: destroy some")

    def free_uid(self, uid: int) -> None:
        """Give a user id back."""
        with contextlib.suppress(FileNotFoundError):
            (self.root / ".uids" / str(uid)).rmdir()

    def clear(self, folder: Folder) -> None:
        """Remove what there is of a sandbox that could not be laid."""
        shutil.rmtree(folder.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.path.parent.rmdir()

    def discard(self, folder: Folder) -> Path | None:
        """Take a sandbox out of the shelf in one step; returns what is to be deleted."""
        target = self.trash / uuid.uuid4().hex
        self.lay()  # another service of this root may just have emptied it
        try:
            folder.path.rename(target)
        except FileNotFoundError:
            return None
        with contextlib.suppress(OSError):
            folder.path.parent.rmdir()
        return target


def boot_id() -> str:
    """The kernel's name for this run of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
