"""The files of a build as a tar stream: from its sandbox while it runs, else from its newest snapshot."""

import contextlib
from collections.abc import AsyncIterator

from taor_sandbox.backends.errors import FileRefused, SandboxGone, SandboxUnreachable
from taor_sandbox.blobs.port import Blobs
from taor_sandbox.claims import Claims
from taor_sandbox.errors import NoFiles, SandboxUnavailable, StaleGeneration
from taor_sandbox.records import Build, BuildKey
from taor_sandbox.restore import read_manifest
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tarball import tar_of


class Download:
    """Streams archives."""

    def __init__(self, claims: Claims, sessions: Sessions, snapshots: Snapshots, blobs: Blobs) -> None:
        self._claims, self._sessions, self._snapshots, self._blobs = claims, sessions, snapshots, blobs

    async def files(self, key: BuildKey) -> AsyncIterator[bytes]:
        """The archive in pieces; raises NoFiles, and SandboxUnavailable when the sandbox is lost on the way."""
        build = await self._claims.build(key)
        if build.runs:
            with contextlib.suppress(StaleGeneration):
                async for piece in self._live(build):
                    yield piece
                return
        async for piece in self._saved(key):
            yield piece

    async def _live(self, build: Build) -> AsyncIterator[bytes]:
        """The files as they stand; raises StaleGeneration when the sandbox is lost before the first piece."""
        sandbox = await self._sessions.sandbox(build)
        begun = False
        try:
            async for piece in sandbox.archive(["."]):
                begun = True
                yield piece
        except (SandboxGone, SandboxUnreachable) as error:
            await self._sessions[build.key].let_go()
            if begun:
                raise SandboxUnavailable("the sandbox was lost on the way; try again") from error
            raise StaleGeneration() from error
        except FileRefused as error:
            raise SandboxUnavailable(f"the archive broke off: {error}; try again") from error

    async def _saved(self, key: BuildKey) -> AsyncIterator[bytes]:
        newest = await self._snapshots.newest(key)
        if newest is None:
            raise NoFiles()
        manifest = await read_manifest(self._blobs, key.tenant_id, newest)
        async for piece in tar_of(manifest, self._blobs, key.tenant_id):
            yield piece
