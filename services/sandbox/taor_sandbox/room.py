"""What a full disk under a sandbox means for its callers: the call can be sent again when there is room."""

import contextlib
from collections.abc import Iterator

from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.errors import SandboxUnavailable


@contextlib.contextmanager
def needing_room() -> Iterator[None]:
    """Raise SandboxUnavailable where the journal, or the sandbox itself, finds no room for what it must keep."""
    try:
        yield
    except FileRefused as refused:
        if refused.problem is not FileProblem.NO_SPACE:
            raise
        raise SandboxUnavailable(f"{refused}; send the call again when there is room") from refused
