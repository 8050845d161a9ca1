"""What can go wrong on one machine; every message says what to do.

LocalError
├── NoUnprivilegedUserError  started as root, and there is nobody to drop to
├── FolderOutOfReachError    the unprivileged user cannot enter the data folder
├── FolderInUseError         another PostgreSQL still holds the data folder
└── PostgresFailedError      initdb or the server ended; names the log to read
"""


class LocalError(Exception):
    """Base of all; the message is for the person at the terminal."""


class NoUnprivilegedUserError(LocalError):
    """Started as root on a machine without `postgres` and `nobody`."""


class FolderOutOfReachError(LocalError):
    """A folder that the unprivileged user of a child cannot enter."""


class FolderInUseError(LocalError):
    """The data folder is held by processes that do not go away."""


class PostgresFailedError(LocalError):
    """PostgreSQL could not be initialised or started."""
