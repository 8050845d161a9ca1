"""Where one installation keeps its things: `postgres sandboxes blobs logs run`."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from taor_local.errors import FolderUnusableError

ROOT_DATA = Path("/var/lib/taor")
# sockaddr_un holds 108 bytes with the closing zero.
LONGEST_SOCKET_PATH_BYTES = 107
SOCKET_NAME = ".s.PGSQL.5432"


def default_data_folder() -> Path:
    """Choose the user's data folder; for root one outside of its closed home, which PostgreSQL's user cannot enter."""
    return ROOT_DATA if os.geteuid() == 0 else platformdirs.user_data_path("taor")


@dataclass(frozen=True, slots=True)
class Folders:
    """The paths of one installation, all derived from its data folder."""

    data: Path

    @property
    def postgres(self) -> Path:
        """PostgreSQL's own folder."""
        return self.data / "postgres"

    @property
    def sandboxes(self) -> Path:
        """The projects' files while they are built."""
        return self.data / "sandboxes"

    @property
    def blobs(self) -> Path:
        """The snapshots' contents."""
        return self.data / "blobs"

    @property
    def logs(self) -> Path:
        """One log per part, and one earlier file each."""
        return self.data / "logs"

    @property
    def run(self) -> Path:
        """What belongs to the running system, and its secrets: closed to others."""
        return self.data / "run"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.run / "lock"

    @property
    def token(self) -> Path:
        """The bearer token that guards every call."""
        return self.run / "token"

    @property
    def master_key(self) -> Path:
        """What opens the keys of the projects. It stands beside the data, because it must live as long."""
        return self.data / "master-key"

    @property
    def passwords(self) -> Path:
        """The passwords of the database roles."""
        return self.run / "passwords.json"

    @property
    def endpoints(self) -> Path:
        """Where the running system answers."""
        return self.run / "endpoints.json"

    @property
    def state(self) -> Path:
        """What the supervisor last said about itself and its parts."""
        return self.run / "state.json"

    def log(self, part: str) -> Path:
        """Name the log of one part, for example `budget`."""
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Make all folders. As root the data folder can be passed through, since parts run as other users.

        Raises FolderUnusableError.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.sandboxes, self.blobs, self.logs, self.run):
                folder.mkdir(exist_ok=True, mode=0o700)
            if os.geteuid() == 0:
                self.data.chmod(0o711)
                self.sandboxes.chmod(0o711)
        except OSError as error:
            raise FolderUnusableError(
                f"{self.data} cannot be used: {error.strerror}. Choose another --data folder."
            ) from error

    def socket_folder(self) -> Path:
        """Choose where PostgreSQL's socket lies: beside its data, or in a short folder when that is too deep."""
        beside = self.postgres / "socket"
        return beside if _fits(beside) else self._short_socket_folder()

    def remove_short_socket_folder(self) -> None:
        """Remove the folder outside of the data folder, if there is one."""
        if not _fits(self.postgres / "socket"):
            shutil.rmtree(self._short_socket_folder(), ignore_errors=True)

    def _short_socket_folder(self) -> Path:
        # Root's runtime folder is closed to the user whom PostgreSQL runs as.
        runtime = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() != 0 else None
        parent = Path(runtime or tempfile.gettempdir())
        return parent / f"taor-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]}"


def _fits(socket_folder: Path) -> bool:
    return len(os.fsencode(socket_folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH_BYTES
