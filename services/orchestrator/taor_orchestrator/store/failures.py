"""What a failing database means to the loop and to the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taor_chassis.database import refusal
from taor_orchestrator.ports import DependencyDown


@asynccontextmanager
async def dependable() -> AsyncIterator[None]:
    """Raises `DependencyDown` where the database is away; other failures are defects and stay as they are."""
    try:
        yield
    except Exception as error:  # the boundary to the driver: its classes are sorted in one place
        if (known := refusal(error)) is not None:
            raise DependencyDown(known.message) from error
        raise
