"""Who may act: the epoch and the generation that a caller names, against the row of the build."""

import asyncio

from taor_sandbox.errors import SandboxNotFound, StaleEpoch, StaleGeneration
from taor_sandbox.records import Build, BuildKey, BuildState
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.builds import Builds

_ELSEWHERE_SECONDS = 5.0
_POLL_SECONDS = 0.1


class Claims:
    """Finds the build that a caller may act on."""

    def __init__(self, builds: Builds, sessions: Sessions) -> None:
        self._builds = builds
        self._sessions = sessions

    async def build(self, key: BuildKey) -> Build:
        """The build, whoever holds it; raises SandboxNotFound."""
        build = await self._builds.get(key)
        if build is None:
            raise SandboxNotFound()
        return build

    async def current(self, key: BuildKey, epoch: int, generation: int) -> Build:
        """The build, if both are current; raises StaleEpoch and StaleGeneration."""
        build = await self.build(key)
        if build.fence.epoch != epoch:
            raise StaleEpoch()
        if build.generation != generation:
            raise StaleGeneration()
        return build

    async def ready(self, key: BuildKey, epoch: int, generation: int) -> Build:
        """As `current`, once its sandbox is ready; raises StaleGeneration when none runs."""
        while (build := await self.current(key, epoch, generation)).state is BuildState.PREPARING:
            await self.wait_until_ready(key)
        if not build.runs:
            raise StaleGeneration("the sandbox does not run; attach again")
        return build

    async def wait_until_ready(self, key: BuildKey) -> None:
        """Wait for the preparation of a build's sandbox; raises what made it fail."""
        preparing = self._sessions[key].preparing
        if preparing is not None:
            await asyncio.shield(preparing)
            return
        # Prepared by another process, or by one that is no more: then only a new Attach can help.
        for _ in range(int(_ELSEWHERE_SECONDS / _POLL_SECONDS)):
            if (await self.build(key)).state is not BuildState.PREPARING:
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise StaleGeneration("the preparation of the sandbox was given up; attach again")
