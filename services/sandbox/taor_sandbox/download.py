"""The files of a build as an archive: from its sandbox while it runs, else from its newest snapshot."""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator

from taor_chassis.clock import Ids
from taor_sandbox.backends.errors import FileRefused, SandboxFrozen, SandboxGone, SandboxUnreachable
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.port import BlobError, Blobs
from taor_sandbox.claims import Claims
from taor_sandbox.copies import copied
from taor_sandbox.errors import NoFiles, SandboxNotRunning, SandboxUnavailable, SnapshotFailed, StaleGeneration
from taor_sandbox.packing import bundled, zipped
from taor_sandbox.records import Build, BuildKey
from taor_sandbox.restore import read_manifest
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tarball import tar_of
from taor_sandbox.tree import has_locked
from taor_sandbox.zipball import zip_of


class Form(enum.Enum):
    """How files are packed."""

    TAR = "TAR"
    ZIP = "ZIP"
    GIT_BUNDLE = "GIT_BUNDLE"


_PACK = {Form.TAR: tar_of, Form.ZIP: zip_of}


class Download:
    """Streams archives."""

    def __init__(self, claims: Claims, sessions: Sessions, snapshots: Snapshots, blobs: Blobs, ids: Ids) -> None:
        self._claims, self._sessions, self._snapshots, self._blobs, self._ids = claims, sessions, snapshots, blobs, ids

    async def files(self, key: BuildKey, form: Form) -> AsyncIterator[bytes]:
        """The archive in pieces; raises NoFiles, and SandboxUnavailable when sandbox or store are lost on the way."""
        build = await self._claims.build(key)
        if build.runs:
            with contextlib.suppress(StaleGeneration):
                async for piece in self._live(build, form):
                    yield piece
                return
        async for piece in self._saved(key, form):
            yield piece

    async def _live(self, build: Build, form: Form) -> AsyncIterator[bytes]:
        """The files as they stand; raises StaleGeneration when the sandbox is lost before the first piece."""
        sandbox = await self._sessions.sandbox(build)
        begun = False
        try:
            async for piece in self._packed(build, sandbox, form):
                begun = True
                yield piece
        except (SandboxGone, SandboxUnreachable) as error:
            await self._sessions[build.key].let_go()
            if begun:
                raise SandboxUnavailable("the sandbox was lost on the way; try again") from error
            raise StaleGeneration() from error
        except SandboxFrozen as error:
            raise SandboxUnavailable("a snapshot is being taken; try again") from error
        except (FileRefused, SnapshotFailed, BlobError) as error:
            raise SandboxUnavailable(f"the archive broke off: {error}; try again") from error

    async def _packed(self, build: Build, sandbox: Sandbox, form: Form) -> AsyncIterator[bytes]:
        starting, tenant_id = self._sessions[build.key].starting, build.key.tenant_id
        if form is not Form.GIT_BUNDLE and await has_locked(sandbox):
            async with copied(sandbox, starting, tenant_id) as (manifest, blobs):
                async for piece in _PACK[form](manifest, blobs, tenant_id):
                    yield piece
            return
        async for piece in self._packed_inside(sandbox, form, starting):
            yield piece

    def _packed_inside(self, sandbox: Sandbox, form: Form, starting: asyncio.Lock) -> AsyncIterator[bytes]:
        match form:
            case Form.TAR:
                return sandbox.archive(["."])
            case Form.ZIP:
                return zipped(sandbox, self._ids.uuid7())
            case Form.GIT_BUNDLE:
                return bundled(sandbox, self._ids.uuid7(), starting)

    async def _saved(self, key: BuildKey, form: Form) -> AsyncIterator[bytes]:
        if form is Form.GIT_BUNDLE:
            raise SandboxNotRunning()
        newest = await self._snapshots.newest(key)
        if newest is None:
            raise NoFiles()
        try:
            manifest = await read_manifest(self._blobs, key.tenant_id, newest)
            async for piece in _PACK[form](manifest, self._blobs, key.tenant_id):
                yield piece
        except BlobError as error:
            raise SandboxUnavailable("the store of snapshots cannot be read; try again") from error
