"""What the verbs need of a handle: bridges, opened and closed."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from taor_sandbox.backends.e2b.bridge import Bridge
from taor_sandbox.backends.e2b.inside.requests import Request


class Channel(Protocol):
    """Opens bridges into one sandbox."""

    def opened(self, request: Request, *, stdin: bool = False) -> AbstractAsyncContextManager[Bridge]:
        """A bridge that carries `request`; it is gone at the end of the block."""
        ...

    def keep(self, task: "asyncio.Task[None]") -> None:
        """Let a task live as long as the handle at most."""
        ...
