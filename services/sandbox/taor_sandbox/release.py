"""Ends a build's use of its sandbox: a last snapshot, then the sandbox is kept, paused, or goes."""

import logging
from datetime import timedelta

from taor_sandbox.backends.port import Backend
from taor_sandbox.claims import Claims
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.errors import Refused, SandboxNotFound, StaleEpoch, StaleGeneration
from taor_sandbox.pauses import Pauses
from taor_sandbox.records import Build, BuildKey, BuildState, SandboxState, Snapshot
from taor_sandbox.sessions import Sessions
from taor_sandbox.snapshots import SnapshotTaker
from taor_sandbox.store.builds import Builds, ReleaseVerdict
from taor_sandbox.store.snapshots import Snapshots

_log = logging.getLogger(__name__)


class Release:
    """Lets go of sandboxes."""

    def __init__(
        self, claims: Claims, builds: Builds, sessions: Sessions, taker: SnapshotTaker, snapshots: Snapshots,
        destroyer: Destroyer, backend: Backend, *, keep: timedelta,
    ) -> None:  # fmt: skip
        self._claims, self._builds, self._sessions = claims, builds, sessions
        self._taker, self._snapshots = taker, snapshots
        self._destroyer, self._pauses, self._keep = destroyer, Pauses(builds, backend), keep

    async def release(self, key: BuildKey, epoch: int, generation: int, fate: BuildState) -> Snapshot | None:
        """Bring the build into KEPT, PAUSED or DESTROYED; returns the newest snapshot. May be repeated."""
        build = await self._settled(key, epoch, generation, fate)
        if build.runs:
            await self._save(build, must=fate is BuildState.DESTROYED)
        match await self._builds.release(key, epoch, generation, fate, self._keep):
            case ReleaseVerdict.NOT_FOUND:
                raise SandboxNotFound()
            case ReleaseVerdict.STALE_EPOCH:
                raise StaleEpoch()
            case ReleaseVerdict.STALE_GENERATION:
                raise StaleGeneration()
            case ReleaseVerdict.RELEASED:
                await self._let_go(await self._claims.build(key), is_complete=build.runs)
        return await self._snapshots.newest(key)

    async def _settled(self, key: BuildKey, epoch: int, generation: int, fate: BuildState) -> Build:
        """The build with no preparation under way; one that has files already is awaited before they are given up."""
        build = await self._claims.current(key, epoch, generation)
        if build.state is not BuildState.PREPARING:
            return build
        if build.sandbox_state is SandboxState.LIVE and fate is not BuildState.PAUSED:
            return await self._claims.ready(key, epoch, generation)
        await self._sessions[key].stop_preparing()
        return build

    async def _save(self, build: Build, *, must: bool) -> None:
        """Take the last snapshot; its failure fails the call only where the files would go with the sandbox."""
        try:
            await self._taker.take(build.key, build.fence.epoch, build.generation)
        except Refused as error:
            if must:
                raise
            _log.error("the last snapshot failed", exc_info=error, extra={"build_id": build.key.build_id})

    async def _pause(self, build: Build, *, is_complete: bool) -> None:
        session = self._sessions[build.key]
        sandbox = session.of_generation(build.generation) if is_complete else None
        if build.provider_id is not None:
            await self._pauses.pause(build, sandbox)

    async def _let_go(self, build: Build, *, is_complete: bool) -> None:
        match build.state:
            case BuildState.PAUSED:
                await self._pause(build, is_complete=is_complete)
                await self._sessions.forget(build.key)
            case BuildState.DESTROYED:
                await self._sessions.forget(build.key)
                await self._destroyer.destroy_doomed(build.key)
            case _:
                pass
