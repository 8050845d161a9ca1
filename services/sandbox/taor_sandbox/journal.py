"""Keeps the journal inside a sandbox and the rows in the database of one mind."""

import logging

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.records import Build, BuildKey, nonce_text
from taor_sandbox.store.builds import Builds

_log = logging.getLogger(__name__)


class Journal:
    """Answers a deleted journal: a command can delete it, and then nobody knows what has run."""

    def __init__(self, builds: Builds) -> None:
        self._builds = builds

    async def renew(self, sandbox: Sandbox, key: BuildKey, generation: int, nonce: int) -> None:
        """Write the next nonce inside, then close what was starting as interrupted.

        In this order: rows first would interrupt an operation that another call is about to start, and does start.
        """
        _log.warning("the journal was deleted", extra={"build_id": key.build_id, "generation": generation})
        if await sandbox.journal_nonce() in (None, nonce_text(generation, nonce)):
            await sandbox.write_nonce(nonce_text(generation, nonce + 1))
        await self._builds.renew_nonce(key, generation, nonce)

    async def check(self, sandbox: Sandbox, key: BuildKey, generation: int, nonce: int) -> None:
        """After an end that nobody has seen: renew at once if the journal is gone, before anything else starts."""
        if await sandbox.journal_nonce() != nonce_text(generation, nonce):
            await self.renew(sandbox, key, generation, nonce)

    async def is_wiped(self, sandbox: Sandbox, build: Build) -> bool:
        """Whether the journal inside is not the one that the row names."""
        return await sandbox.journal_nonce() != build.nonce_text

    async def renew_if_wiped(self, sandbox: Sandbox, build: Build) -> None:
        """Look, and renew where need be."""
        await self.check(sandbox, build.key, build.generation, build.nonce)
