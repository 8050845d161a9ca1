"""What goes wrong here, in one small tree.

SimulatorError
├── Refused          an HTTP error answer in the shape of the Messages API
├── Disconnected     the client went away, or a fault cut the line
└── ScriptError      a script file that cannot be played; the message names the file and the step
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Base of every error of this package."""


class Refused(SimulatorError):
    """The request gets this HTTP status and this error body instead of an answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str = "",
        retry_after: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.retry_after = retry_after


class Disconnected(SimulatorError):
    """The connection ended before the answer did."""


class ScriptError(SimulatorError):
    """A script file that cannot be played."""
