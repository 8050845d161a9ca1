"""What the host tells the agent at its start, as one JSON argument."""

from typing import NamedTuple


class Config(NamedTuple):
    """The agent's settings; nothing in here is secret, a command can read it in /proc/1/cmdline."""

    uid: int | None
    """Drop to this user first; None when already unprivileged."""
    journal: str
    workspace: str
    env: dict[str, str]
    """Environment of every command, before its own."""
    memory_bytes: int
    processes: int
    file_bytes: int
    open_files: int
    ownerless_seconds: float
    """End the sandbox after so long without a connection."""
    memory_files: dict[str, int]
    """Folders that are memory, and how many files each may have: the kernel's memory for a file is in no size."""
