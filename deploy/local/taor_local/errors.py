"""What can go wrong on one machine; every message says what to do.

LocalError
├── UnsupportedSystemError      not Linux
├── NoUnprivilegedUserError     started as root, and there is nobody to drop to
├── FolderOutOfReachError       the unprivileged user cannot enter a folder
├── FolderUnusableError         the data folder cannot be made or written
├── BadPortError                six ports from there do not exist
├── PortInUseError              somebody else listens on one of our ports
├── PostgresFailedError         initdb failed, or the package is missing
├── PartFailedError             a part did not come up; names the log to read
├── OtherCheckoutError          the data folder is in use by a taor from another environment
├── StartFailedError            `up` did not get there
└── StopFailedError             `down` left something running
"""

from pathlib import Path


class LocalError(Exception):
    """Base of all; the message is for the person at the terminal."""


class UnsupportedSystemError(LocalError):
    """The system is not Linux."""


class NoUnprivilegedUserError(LocalError):
    """Started as root on a machine without `postgres` and `nobody`."""


class FolderOutOfReachError(LocalError):
    """A folder that the unprivileged user of a child cannot enter, or that belongs to a stranger."""


class FolderUnusableError(LocalError):
    """The data folder belongs to somebody else, or its disk is full or read-only."""


class BadPortError(LocalError):
    """The ports from the base port on are not all between 1024 and 65535."""

    def __init__(self, port: int) -> None:
        super().__init__(f"--base-port {port} does not do: taor needs six ports from it, between 1024 and 65535.")


class PortInUseError(LocalError):
    """A port that a part needs is taken."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is in use by another program. Choose other ports, for example --base-port 7501.")
        self.port = port


class PostgresFailedError(LocalError):
    """PostgreSQL could not be initialised, or its programs are missing."""


class PartFailedError(LocalError):
    """A part ended, or took too long, before it served; the message ends with the last lines of its log."""

    def __init__(self, part: str, what: str, log: Path, last_lines: str) -> None:
        super().__init__(f"{part} {what}. Its log is {log}" + (f", which ends:\n{last_lines}" if last_lines else "."))
        self.part = part


class OtherCheckoutError(LocalError):
    """An installation runs on this data folder from another environment, perhaps with other code."""


class StartFailedError(LocalError):
    """The supervisor could not bring the installation up."""


class StopFailedError(LocalError):
    """Something of the installation still runs after it was told to stop."""
