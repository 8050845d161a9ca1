"""What a backend can answer instead of a result.

BackendError
├── SandboxGone          the provider does not have it any more: its files are lost, make a new generation
├── SandboxUnreachable   no answer: it may still run, so it must be destroyed before the next generation is READY
│   └── OtherRelease     an agent of another release is at work inside, and must not be spoken to
├── SandboxFrozen        a snapshot walk holds it: ask again
├── SandboxBusy          something of an operation runs, and was not ended
├── StaleEpoch           a higher epoch stands inside the sandbox; carries it
├── JournalWiped         the nonce inside is not the one that was named: a command deleted the journal
├── FileRefused          a path cannot be read or written; carries a FileProblem
├── PortRefused          nothing inside listens on that port
├── InvalidRequest       the request breaks a bound of the port (size, id, mode): a fault of the caller
└── BackendUnavailable   this machine or provider cannot make sandboxes; says what to do
"""

import enum


class FileProblem(enum.Enum):
    """Why a file could not be read or written."""

    NOT_FOUND = "NOT_FOUND"
    NOT_REGULAR = "NOT_REGULAR"
    OUTSIDE = "OUTSIDE"
    DENIED = "DENIED"
    TOO_LARGE = "TOO_LARGE"
    CHANGED = "CHANGED"
    NO_SPACE = "NO_SPACE"
    FAILED = "FAILED"


class BackendError(Exception):
    """Base of everything that a backend raises on purpose."""


class SandboxGone(BackendError):
    """The sandbox does not exist any more, and its files with it."""


class SandboxUnreachable(BackendError):
    """The sandbox did not answer; whether it still runs is unknown."""


class OtherRelease(SandboxUnreachable):
    """An agent of another release runs something: nobody here can follow that, or speak to it."""


class SandboxFrozen(BackendError):
    """A snapshot walk holds the sandbox; the claim was not made."""


class SandboxBusy(BackendError):
    """Something of an operation runs inside; nothing was ended."""


class StaleEpoch(BackendError):
    """A start was refused inside the sandbox, because a newer owner was there."""

    def __init__(self, highest: int) -> None:
        super().__init__(f"the sandbox has seen epoch {highest}")
        self.highest = highest


class JournalWiped(BackendError):
    """The journal inside does not carry the nonce that the caller read with its row."""


class FileRefused(BackendError):
    """A file operation failed for a reason that the model should hear."""

    def __init__(self, problem: FileProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem


class PortRefused(BackendError):
    """Nothing inside the sandbox accepts connections on that port."""


class InvalidRequest(BackendError):
    """The request breaks a documented bound of the port."""


class BackendUnavailable(BackendError):
    """Sandboxes cannot be had here; the message names the remedy."""
