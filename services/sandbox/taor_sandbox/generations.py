"""Attach: raises the fence of a build, and sees to it that a sandbox with its files runs.

A *generation* is one sandbox of a build, from its creation to its loss. Whoever acts here holds the fence of one
Attach call; every change in the database compares it, so a call that was overtaken changes nothing any more.
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from taor_chassis import deadlines
from taor_sandbox.backends.errors import BackendUnavailable, SandboxGone, SandboxUnreachable, StaleEpoch
from taor_sandbox.backends.port import Backend, Limits, Sandbox, Unclaimed
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.errors import (
    AttachSuperseded,
    IsolationUnavailable,
    SandboxNotFound,
    SandboxUnavailable,
    SnapshotBad,
    StaleGeneration,
)
from taor_sandbox.errors import StaleEpoch as StaleClaim
from taor_sandbox.journal import Journal
from taor_sandbox.pauses import Pauses
from taor_sandbox.records import Build, BuildKey, BuildState, Fence, SandboxState
from taor_sandbox.redo import Redo
from taor_sandbox.restore import Restore
from taor_sandbox.room import needing_room
from taor_sandbox.sessions import Session, Sessions
from taor_sandbox.store.builds import Builds, FenceVerdict
from taor_sandbox.store.operations import Operations
from taor_sandbox.store.sandboxes import Sandboxes

_GENERATIONS_PER_ATTACH = 4
FIRST_NONCE = 1
"""A journal with a later one was laid anew, and has lost older claims for that reason."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """The tables that generations are kept in."""

    builds: Builds
    sandboxes: Sandboxes
    operations: Operations


class Generations:
    """Makes, restores, finds again and opens the sandboxes of builds."""

    def __init__(
        self, stores: Stores, sessions: Sessions, backend: Backend, restore: Restore, journal: Journal, redo: Redo,
        destroyer: Destroyer, *, creations: int, limits: Limits,
    ) -> None:  # fmt: skip
        self._builds, self._sandboxes, self._operations = stores.builds, stores.sandboxes, stores.operations
        self._sessions, self._backend, self._restore = sessions, backend, restore
        self._journal, self._redo, self._destroyer = journal, redo, destroyer
        self._pauses = Pauses(stores.builds, backend)
        self._creation = asyncio.Semaphore(creations)
        self._limits = limits

    async def attach(self, key: BuildKey, project_id: str, fence: Fence, owner: str) -> Build:
        """Fence the build. Where a sandbox runs it is found again; else one is prepared, while the caller goes on.

        Only where operations must be redone does this wait for the end of it, because Attach tells what was lost.
        """
        await self._raise_fence(key, project_id, fence, owner)
        session = self._sessions[key]
        if session.preparing_fence != fence:
            await session.stop_preparing()
        build = await self._get(key)
        async with session.rotating:
            is_reached = build.runs and await self._reach(build, session)
        if is_reached:
            return build if build.state is BuildState.READY else await self._open(build, session)
        if session.preparing is None or session.preparing.done():
            if build.state is not BuildState.PREPARING or build.sandbox_state is not SandboxState.LIVE:
                build = await self._plan(build)
            self._start_preparing(build, session)
        assert session.preparing is not None
        if await self._operations.to_redo(build, 1):
            return await asyncio.shield(session.preparing)
        return build

    async def _raise_fence(self, key: BuildKey, project_id: str, fence: Fence, owner: str) -> None:
        match await self._builds.fence(key, project_id, fence, owner):
            case FenceVerdict.STALE_EPOCH:
                raise StaleClaim()
            case FenceVerdict.SUPERSEDED:
                raise AttachSuperseded()
            case FenceVerdict.FENCED:
                pass

    async def _get(self, key: BuildKey) -> Build:
        build = await self._builds.get(key)
        if build is None:
            raise SandboxNotFound()
        return build

    async def _reach(self, build: Build, session: Session) -> bool:
        """Dial the sandbox and leave the epoch inside; False when it is lost, or its files may be.

        Raises SandboxUnavailable when it is there, and has no room for that."""
        try:
            sandbox = await self._sessions.sandbox(build)
            if sandbox.boot_id != build.boot_id:
                return False
            with needing_room():
                await sandbox.raise_epoch(build.fence.epoch)
                await self._journal.renew_if_wiped(sandbox, build)
            if await self._is_older(build, sandbox):
                return False
        except StaleEpoch as error:
            raise StaleClaim() from error
        except (StaleGeneration, SandboxGone, SandboxUnreachable):
            await session.let_go()
            return False
        session.hold(build, sandbox)
        return True

    async def _is_older(self, build: Build, sandbox: Sandbox) -> bool:
        """Whether an older disk came back, from before the last operation: a provider may pause on its own account."""
        op_id = await self._operations.last_claimed(build) if build.nonce == FIRST_NONCE else None
        if op_id is None or not isinstance(await sandbox.look(op_id), Unclaimed):
            return False
        _log.error("a sandbox has lost its newest operation", extra={"build_id": build.key.build_id, "op_id": op_id})
        return True

    async def _plan(self, build: Build) -> Build:
        """The next generation, in the database; raises AttachSuperseded when somebody else was faster."""
        if not await self._builds.plan(build):
            raise AttachSuperseded()
        await self._sessions[build.key].let_go()
        return await self._get(build.key)

    async def _open(self, build: Build, session: Session) -> Build:
        if not await self._builds.make_ready(build):
            raise AttachSuperseded()
        ready = replace(build, state=BuildState.READY)
        assert session.sandbox is not None
        session.hold(ready, session.sandbox)
        return ready

    def _start_preparing(self, build: Build, session: Session) -> None:
        with deadlines.detached():
            session.preparing = asyncio.create_task(self._prepare_and_tell(build, session), name=build.sandbox_key)
        session.preparing.add_done_callback(_retrieve)
        session.preparing_fence = build.fence

    async def _prepare_and_tell(self, build: Build, session: Session) -> Build:
        """The background task: its failure waits for whoever asks next, and is logged for whoever does not."""
        try:
            with needing_room():
                return await self._prepare(build, session)
        except AttachSuperseded:
            raise
        except BackendUnavailable as error:
            _log.error("no sandbox can be had here", exc_info=error)
            raise IsolationUnavailable(str(error)) from error
        except Exception:  # the task's boundary: nobody may be waiting for it
            _log.exception("a sandbox could not be prepared", extra={"build_id": build.key.build_id})
            raise

    async def _prepare(self, build: Build, session: Session) -> Build:
        for _ in range(_GENERATIONS_PER_ATTACH):
            try:
                if build.sandbox_state is SandboxState.LIVE:
                    found = await self._wake(build, session)
                else:
                    found = await self._make(build, session)
                if found:
                    return await self._complete(build, session)
            except (SandboxGone, SandboxUnreachable) as error:
                _log.warning("a sandbox was lost while it was prepared", exc_info=error)
            build = await self._plan(build)
        raise SandboxUnavailable("sandboxes keep getting lost while they are prepared; try again later")

    async def _wake(self, build: Build, session: Session) -> bool:
        """Find a sandbox again that may have slept; False when it is lost, or other files came back."""
        if not await self._reach(build, session):
            return False
        assert session.sandbox is not None
        return await self._pauses.came_back_whole(build, session.sandbox)

    async def _make(self, build: Build, session: Session) -> bool:
        """Create the sandbox and unpack its snapshot; False when that snapshot is bad."""
        async with self._creation:
            sandbox = await self._backend.create(build.sandbox_key, self._limits)
            try:
                return await self._fill(build, session, sandbox)
            except AttachSuperseded:
                await self._backend.destroy(sandbox.provider_id)
                raise
            finally:
                if session.sandbox is not sandbox:
                    await sandbox.close()

    async def _fill(self, build: Build, session: Session, sandbox: Sandbox) -> bool:
        """Lay the journal and unpack the files; raises AttachSuperseded when nobody wants the sandbox any more."""
        if not await self._sandboxes.created(build.key, build.generation, sandbox.provider_id, sandbox.boot_id):
            raise AttachSuperseded()
        await sandbox.write_nonce(build.nonce_text)
        await sandbox.raise_epoch(build.fence.epoch)
        try:
            await self._restore.unpack(build, sandbox)
        except SnapshotBad as error:
            _log.error("a snapshot is bad; an older one is tried", exc_info=error)
            return False
        if not await self._sandboxes.live(build.key, build.generation):
            raise AttachSuperseded()
        session.hold(build, sandbox)
        return True

    async def _complete(self, build: Build, session: Session) -> Build:
        """Redo what the snapshot lacks, make sure that older sandboxes are gone, and open the new one."""
        assert session.sandbox is not None
        await self._redo.run(build, session.sandbox)
        await self._destroyer.destroy_doomed(build.key)
        build = await self._get(build.key)
        return await self._open(build, session)


def _retrieve(task: "asyncio.Task[Build]") -> None:
    """Look at a failure that nobody else may ask for; it is logged already."""
    if not task.cancelled():
        task.exception()
