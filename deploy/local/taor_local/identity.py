"""Who a child process runs as, and whether that identity can reach a path."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from taor_local.errors import NoUnprivilegedUserError


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and group that a child gives up root for."""

    uid: int
    gid: int
    name: str

    def may_reach(self, path: Path) -> bool:
        """Tell whether this identity can enter every folder above `path` and read `path` itself, by permission bits."""
        resolved = path.resolve()
        return all(self._has(folder, stat.S_IXOTH) for folder in resolved.parents) and self._has(resolved, stat.S_IROTH)

    def _has(self, path: Path, other_bit: int) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & (other_bit << 6))
        if status.st_gid == self.gid:
            return bool(status.st_mode & (other_bit << 3))
        return bool(status.st_mode & other_bit)


def database_identity() -> Identity | None:
    """Say whom PostgreSQL runs as: None is "as ourselves"; root needs somebody else, since PostgreSQL refuses root.

    Raises NoUnprivilegedUserError when the machine has neither `postgres` nor `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_uid, entry.pw_gid, name)
    raise NoUnprivilegedUserError(
        "PostgreSQL refuses to run as root and this machine has neither the user postgres nor nobody."
    )
