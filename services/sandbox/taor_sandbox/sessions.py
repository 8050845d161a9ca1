"""The sandboxes that this process holds in hand: one small object per build."""

import asyncio
from dataclasses import dataclass, field

from taor_sandbox.backends.errors import SandboxGone, SandboxUnreachable
from taor_sandbox.backends.port import Backend, Sandbox
from taor_sandbox.errors import StaleGeneration
from taor_sandbox.records import Build, BuildKey, Fence
from taor_sandbox.room import needing_room


@dataclass(slots=True)
class Session:
    """What this process has in hand. Losing it loses nothing: the row and the journal are the truth."""

    key: BuildKey
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from the announcement of an operation until its claim is made, and while a cancel looks for it."""
    dialling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a handle is made, so that nobody's handle is closed in favour of another's."""
    rotating: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the sandbox sleeps for a moment, so that an Attach does not take it for lost."""
    renewable: bool = True
    """Cleared by a rotation that has brought no new life: whoever tries again would do so in every round."""
    preparing: "asyncio.Task[Build] | None" = None
    """Makes or restores the sandbox for `preparing_fence`."""
    preparing_fence: Fence | None = None
    build: Build | None = None
    """The row as it stood when `sandbox` was opened or made ready."""
    sandbox: Sandbox | None = None

    def holds(self, epoch: int, generation: int) -> bool:
        """Whether a ready sandbox of this generation is in hand, for a caller of this epoch."""
        build = self.build
        return self.sandbox is not None and build is not None and build.runs and (
            (build.fence.epoch, build.generation) == (epoch, generation)
        )  # fmt: skip

    def of_generation(self, generation: int) -> Sandbox | None:
        """The handle in hand, if it is one of this generation."""
        return self.sandbox if self.build is not None and self.build.generation == generation else None

    def hold(self, build: Build, sandbox: Sandbox) -> None:
        """Take a handle in hand."""
        self.build, self.sandbox = build, sandbox

    async def let_go(self) -> None:
        """Close the handle; the sandbox goes on."""
        sandbox, self.sandbox, self.build = self.sandbox, None, None
        if sandbox is not None:
            await sandbox.close()

    async def stop_preparing(self) -> None:
        """End a preparation whose fence was overtaken, and wait until it has ended."""
        task, self.preparing, self.preparing_fence = self.preparing, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})


class Sessions:
    """All sessions of this process, by build."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._sessions: dict[
            BuildKey, Session
        ] = {}  # bounded by the builds whose sandbox runs; the reaper forgets the rest

    def __getitem__(self, key: BuildKey) -> Session:
        """The session of a build, made at the first need."""
        if key not in self._sessions:
            self._sessions[key] = Session(key)
        return self._sessions[key]

    def get(self, key: BuildKey) -> Session | None:
        """The session of a build, if there is one."""
        return self._sessions.get(key)

    async def sandbox(self, build: Build) -> Sandbox:
        """The sandbox of a build's current generation, dialled if need be; raises StaleGeneration when it is gone.

        Raises SandboxUnavailable when it is there, and cannot be started for want of room."""
        session = self[build.key]
        async with session.dialling:
            held = session.of_generation(build.generation)
            if held is None:
                held = await self._dial(build)
                await session.let_go()
                session.hold(build, held)
        return held

    async def _dial(self, build: Build) -> Sandbox:
        if build.provider_id is None:
            raise StaleGeneration("the sandbox does not run any more; attach again")
        try:
            with needing_room():
                return await self._backend.attach(build.provider_id)
        except (SandboxGone, SandboxUnreachable) as error:
            raise StaleGeneration("the sandbox is gone; attach again") from error

    def held(self) -> list[tuple[Session, str]]:
        """The sessions with a sandbox in hand, and the provider's name of it."""
        return [(each, each.sandbox.provider_id) for each in self._sessions.values() if each.sandbox is not None]

    async def forget(self, key: BuildKey) -> None:
        """Drop the session of a build whose sandbox does not run any more."""
        if (session := self._sessions.pop(key, None)) is not None:
            await session.stop_preparing()
            await session.let_go()

    async def close(self) -> None:
        """Let go of everything; the sandboxes go on."""
        for key in list(self._sessions):
            await self.forget(key)
