"""Destroys sandboxes that nobody owns any more, for certain: the row says so before, and again after."""

import logging

from taor_sandbox.backends.errors import BackendError
from taor_sandbox.backends.port import Backend
from taor_sandbox.records import BuildKey
from taor_sandbox.store.sandboxes import Doomed, Sandboxes

_log = logging.getLogger(__name__)


class Destroyer:
    """Brings sandboxes from ORPHAN over DESTROYING to GONE; may be repeated at any point."""

    def __init__(self, sandboxes: Sandboxes, backend: Backend) -> None:
        self._sandboxes = sandboxes
        self._backend = backend

    async def destroy_doomed(self, key: BuildKey) -> None:
        """Destroy what a build has left behind."""
        for doomed in await self._sandboxes.doomed(key):
            await self.destroy(doomed)

    async def destroy_doomed_of_tenant(self, tenant_id: str, most: int) -> None:
        """Destroy what a tenant's builds have left behind; one that cannot be destroyed does not stop the others."""
        for doomed in await self._sandboxes.doomed_of_tenant(tenant_id, most):
            try:
                await self.destroy(doomed)
            except BackendError as error:
                _log.error("a sandbox could not be destroyed", exc_info=error, extra={"sandbox": doomed.sandbox_key})

    async def destroy(self, doomed: Doomed) -> None:
        """Return when nothing of it runs and its files are gone."""
        if not await self._sandboxes.destroying(doomed):
            return
        provider_id = doomed.provider_id or await self._find(doomed.sandbox_key)
        if provider_id is not None:
            await self._backend.destroy(provider_id)
        await self._sandboxes.gone(doomed)

    async def _find(self, sandbox_key: str) -> str | None:
        """A sandbox that was made just before its maker died: the provider knows it by its key."""
        return next((each.provider_id for each in await self._backend.list() if each.key == sandbox_key), None)
