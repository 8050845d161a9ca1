"""What a tool call came to, as it is stored and as the model sees it."""

import enum
import hashlib
from dataclasses import dataclass


class FailureCode(enum.Enum):
    """How a tool failed; the names are those of `Failure.Code` in the contract."""

    PATH_OUTSIDE_PROJECT = "PATH_OUTSIDE_PROJECT"
    NOT_FOUND = "NOT_FOUND"
    NOT_A_FILE = "NOT_A_FILE"
    NOT_TEXT = "NOT_TEXT"
    NO_MATCH = "NO_MATCH"
    AMBIGUOUS_MATCH = "AMBIGUOUS_MATCH"
    TIMEOUT = "TIMEOUT"
    EXIT_STATUS = "EXIT_STATUS"
    CANCELLED = "CANCELLED"
    INTERRUPTED = "INTERRUPTED"
    LOST = "LOST"
    BAD_INPUT = "BAD_INPUT"
    LIMIT = "LIMIT"
    BROWSER_MISSING = "BROWSER_MISSING"
    PAGE_UNREACHABLE = "PAGE_UNREACHABLE"
    BROWSER_FAILED = "BROWSER_FAILED"
    FILE_CHANGED = "FILE_CHANGED"


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, in a sentence that says what to do about it."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the model looks at."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file whose whole content the agent knows: it has read it, or put it there itself."""

    path: str
    """Absolute, as the agent names it: links are not followed."""
    content_sha256: bytes

    @property
    def path_sha256(self) -> bytes:
        """The name under which it is kept."""
        return hashlib.sha256(self.path.encode()).digest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a tool call. A failure is a result like any other."""

    text: str
    failure: Failure | None = None
    exit_status: int | None = None
    elapsed_seconds: float = 0.0
    cwd: str | None = None
    """Where the next command starts; None when this call says nothing about it."""
    image: Image | None = None
    """Only of tools that change nothing: it is not stored."""
    seen: SeenFile | None = None
    """What the agent knows once it is told this result; it is no part of the result."""

    @property
    def text_sha256(self) -> bytes:
        """The SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def code(self) -> FailureCode | None:
        """How it failed, or None."""
        return None if self.failure is None else self.failure.code

    def like(self, other: "Outcome") -> bool:
        """Whether a repetition came out the same: texts may differ (they hold times), ways of ending may not."""
        return (self.code, self.exit_status) == (other.code, other.exit_status)


def failed(code: FailureCode, message: str) -> Outcome:
    """A failure that has nothing more to show than its message."""
    return Outcome(message, Failure(code, message))


INTERRUPTED = failed(
    FailureCode.INTERRUPTED,
    "The call was cut short, or may have been: nobody knows how much of it took effect. Look at what it has done "
    "before you repeat it.",
)
"""The result of an operation whose end nobody has seen."""

CANCELLED = failed(FailureCode.CANCELLED, "The call was cancelled before it ended; part of it may have taken effect.")
"""The result of an operation that was closed by a cancel before its command was there to be killed."""


class ToolFailed(Exception):
    """Raised inside a tool to end it with a failure; nothing was changed."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def outcome(self) -> Outcome:
        """The failure as a result."""
        return failed(self.code, self.message)
