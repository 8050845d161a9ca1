"""How a command ends when it does not end well.

CommandError                 one line for a person: what happened, and what to do
├── ThingFailedError         1  the build failed, the preview does not answer, the audit found something
├── UsageError               2  the command line or a file that it names is wrong
├── UnreachableError         3  nothing answers there
├── RefusedError             4  a service answered with a refusal and its reason
└── DetachedError          130  Ctrl-C; the build goes on
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a shell sees. Scripts may rely on these numbers."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    DETACHED = 130


EXIT_CODES_HELP = """\
  0 all is well                  3 nothing answers
  1 the thing itself failed      4 a service refused
  2 the command line is wrong  130 detached with Ctrl-C"""


class CommandError(Exception):
    """Ends a command; `advice` says what to do about it, `reason` is the machine's word for it."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, advice: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.reason = reason


class ThingFailedError(CommandError):
    """The command did its work, and the thing it is about has failed."""


class UsageError(CommandError):
    """The command line, or a file that it names, cannot be used."""

    exit_code = ExitCode.USAGE


class UnreachableError(CommandError):
    """Nothing answers at the address."""

    exit_code = ExitCode.UNREACHABLE


class RefusedError(CommandError):
    """A service has answered, and said no."""

    exit_code = ExitCode.REFUSED


class DetachedError(CommandError):
    """A person has left with Ctrl-C; what they were looking at goes on."""

    exit_code = ExitCode.DETACHED
