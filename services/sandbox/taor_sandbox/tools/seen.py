"""What an agent has seen of its files: an edit of one that has changed since then is refused."""

import hashlib

from taor_sandbox.outcome import FailureCode, ToolFailed

MAX_FILES = 1_000


class Seen:
    """The contents last read or written, by path inside the sandbox; the oldest are forgotten first.

    A guard of good manners, kept in memory: what was never seen, or is forgotten with a restart, may be edited.
    """

    def __init__(self) -> None:
        self._sha256_of: dict[str, str] = {}

    def note(self, path: str, content: bytes) -> None:
        """The agent knows that `path` holds `content`."""
        self._sha256_of.pop(path, None)
        self._sha256_of[path] = hashlib.sha256(content).hexdigest()
        if len(self._sha256_of) > MAX_FILES:
            del self._sha256_of[next(iter(self._sha256_of))]

    def check(self, path: str, content: bytes, shown_path: str) -> None:
        """Raises ToolFailed where the agent knows another content than this one."""
        if self._sha256_of.get(path, actual := hashlib.sha256(content).hexdigest()) != actual:
            message = f"{shown_path} has changed since you last read or wrote it; nothing was changed. Read it again."
            raise ToolFailed(FailureCode.FILE_CHANGED, message)
