"""Deletes projects: refused while a build is at work, then carried through all services, however often it is killed.

The row of a deleted project is the whole job. Each step may be repeated, so every replica may take it, and one that
dies in the middle leaves nothing to repair. What the builds have cost stays, with the budget's journal.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Protocol, assert_never

from taor_orchestrator.errors import ProjectBusy, ProjectNotFound, RequestIdConflict
from taor_orchestrator.store.projects import DeleteOutcome, Deletion, ProjectId, ProjectStore

ROUND_SECONDS = 10.0
BUSY_SECONDS = 0.5
PROJECTS_AT_ONCE = 20
ROWS_AT_ONCE = 500

_log = logging.getLogger(__name__)


class Elsewhere(Protocol):
    """What the other services keep of a project. Both may be called again and again."""

    async def delete_history(self, project_id: str) -> bool:
        """Destroy the project's key; whether the rows have gone too."""
        ...

    async def delete_files(self, project_id: str) -> bool:
        """Delete some of the project's files; whether nothing is left."""
        ...


class Projects:
    """The end of projects."""

    def __init__(self, store: ProjectStore, elsewhere: Elsewhere) -> None:
        self._store = store
        self._elsewhere = elsewhere
        self._wanted = asyncio.Event()

    async def delete(self, project: ProjectId, request_id: str) -> Deletion:
        """Delete a project for good, once; raises `ProjectNotFound`, `ProjectBusy` or `RequestIdConflict`."""
        requested = await self._store.delete(project, request_id)
        match requested.outcome:
            case DeleteOutcome.DELETED:
                self._wanted.set()
            case DeleteOutcome.NOT_FOUND:
                raise ProjectNotFound(project.project_id)
            case DeleteOutcome.REQUEST_ID_CONFLICT:
                raise RequestIdConflict("this request_id stands for another request; use a new one", id=request_id)
            case DeleteOutcome.BUSY:
                raise ProjectBusy(project.project_id, requested.busy)
            case _:
                assert_never(requested.outcome)
        deletion = await self._store.deletion(project)
        assert deletion is not None
        return deletion

    async def is_deleted(self, project: ProjectId) -> bool:
        """Whether nothing of the project may be told any more."""
        return await self._store.deletion(project) is not None

    async def run(self, stopping: asyncio.Event) -> None:
        """Carry deletions on until `stopping` is set; what fails is tried again in the next round."""
        async with asyncio.TaskGroup() as loops:
            loop = loops.create_task(self._run())
            await stopping.wait()
            loop.cancel()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            more = False
            try:
                more = await self.round()
            except Exception:  # the loop's boundary: builds are at work in this process, and the next round tries again
                _log.exception("deletions cannot go on")
            with suppress(TimeoutError):
                async with asyncio.timeout(BUSY_SECONDS if more else ROUND_SECONDS):
                    await self._wanted.wait()

    async def round(self) -> bool:
        """Take a part of every deletion that is under way; whether more can be taken soon."""
        more = False
        for project in await self._store.unfinished(PROJECTS_AT_ONCE):
            more |= await self._advance(project)
        return more

    async def _advance(self, project: ProjectId) -> bool:
        """Take a part of one deletion, the key first; whether more of it can be taken soon."""
        try:
            history = await self._elsewhere.delete_history(project.project_id)
            files = await self._elsewhere.delete_files(project.project_id)
            content = await self._store.delete_content(project, ROWS_AT_ONCE)
            if not (history and files and content):
                return True
            await self._store.finish(project)
        except Exception as error:  # the boundary of one deletion: it must not stand in the way of the others
            _log.warning("a deletion has to wait", extra={"project_id": project.project_id, "why": str(error)})
        return False
