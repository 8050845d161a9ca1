"""Deletes a project's files: its sandboxes, its snapshots, and what its tool calls were and answered."""

import logging

from taor_sandbox.backends.errors import BackendError
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.deletion import ProjectRows

BUILDS_AT_ONCE = 20
ROWS_AT_ONCE = 500

_log = logging.getLogger(__name__)


class Deletion:
    """Takes a bounded part of a project at each call; may be repeated at any point, by any process."""

    def __init__(self, rows: ProjectRows, sessions: Sessions, destroyer: Destroyer) -> None:
        self._rows = rows
        self._sessions = sessions
        self._destroyer = destroyer

    async def delete_some(self, tenant_id: str, project_id: str) -> bool:
        """Delete a part of a project; True once nothing of it is left but the fences.

        Contents of files go with the next collection: another build of the tenant may have the same ones.
        """
        for key in await self._rows.end(tenant_id, project_id, BUILDS_AT_ONCE):
            await self._sessions.forget(key)
        for key in await self._rows.with_doomed(tenant_id, project_id, BUILDS_AT_ONCE):
            try:
                await self._destroyer.destroy_doomed(key)
            except BackendError as error:
                _log.error("a sandbox could not be destroyed", exc_info=error, extra={"build_id": key.build_id})
        await self._rows.delete_rows(tenant_id, project_id, ROWS_AT_ONCE)
        return await self._rows.is_gone(tenant_id, project_id)
