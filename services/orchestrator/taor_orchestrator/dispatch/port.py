"""The four verbs of dispatch, and what the work on a build is to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from taor_orchestrator.build import Claim, Ending
from taor_orchestrator.ports import Lease
from taor_orchestrator.store.builds import NewBuild, Request

Work = Callable[[Claim, Lease], Awaitable[Ending]]
"""One tenure of one build, from its take-over to its ending."""


class Dispatch(Protocol):
    """Spreads builds over the replicas, each build to one worker at a time."""

    async def submit(self, build: NewBuild, request: Request) -> str:
        """Queue a build under its request, once; the id of the build that the request stands for."""
        ...

    async def wake(self, tenant_id: str, build_id: str, reason: str, request: Request) -> None:
        """Raise the build's wake generation, and queue it when it rests; once for the request."""
        ...

    async def cancel(self, tenant_id: str, build_id: str, inbox_id: str, request: Request) -> None:
        """Send the build its cancellation, and hint its worker at it."""
        ...

    async def run(self, work: Work, stopping: asyncio.Event) -> None:
        """Claim builds and work on them until `stopping` is set, then hand them over at their turn boundaries."""
        ...
