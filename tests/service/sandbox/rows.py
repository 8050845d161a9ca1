"""One build in the sandbox service's database, and short words for what happens to it; no sandbox is real here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256

import asyncpg

from taor_chassis.database import running_pool
from taor_sandbox.manifest import Manifest
from taor_sandbox.outcome import Outcome
from taor_sandbox.records import NOTHING, Build, BuildKey, BuildState, Call, Fence, OperationState, Position
from taor_sandbox.store.builds import Builds, FenceVerdict, ReleaseVerdict
from taor_sandbox.store.operations import Begun, Operations, Recorded, Verdict
from taor_sandbox.store.sandboxes import Sandboxes
from taor_sandbox.store.seen import SeenFiles
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tools.inputs import Bash

KEY = BuildKey("local", "b")
NO_FILES = Manifest(())
NO_FILES_SHA256 = sha256(NO_FILES.encode()).hexdigest()
DONE = Outcome("done\n", exit_status=0, cwd="/workspace")


class Rows:
    """What happens to the build, one transaction each."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.builds, self.sandboxes = Builds(pool), Sandboxes(pool)
        self.operations, self.snapshots, self.seen = Operations(pool), Snapshots(pool), SeenFiles(pool)

    async def build(self) -> Build:
        """The row as it stands."""
        build = await self.builds.get(KEY)
        assert build is not None
        return build

    async def attach(self, epoch: int = 1, number: int = 1, owner: str = "") -> FenceVerdict:
        """Raise the fence."""
        return await self.builds.fence(KEY, "p", Fence(epoch, number), owner or f"owner-{epoch}")

    async def next_generation(self) -> Build:
        """Replace the sandbox, and open the new one."""
        assert await self.builds.make_ready(await self.replace())
        return await self.build()

    async def replace(self) -> Build:
        """Plan a generation, make its sandbox, and give up the old ones for certain."""
        assert await self.builds.plan(await self.build())
        await self.create()
        for doomed in await self.sandboxes.doomed(KEY):
            assert await self.sandboxes.destroying(doomed)
            await self.sandboxes.gone(doomed)
        return await self.build()

    async def missing_two_and_three(self) -> Build:
        """A new sandbox over a snapshot of operation 1, while 2 and 3 are to be redone."""
        await self.run(1)
        assert await self.snapshot("s")
        await self.run(2)
        await self.run(3)
        return await self.replace()

    async def lose_everything(self) -> None:
        """The next generation, with nothing redone."""
        assert await self.operations.record_lost(await self.replace())
        assert await self.builds.make_ready(await self.build())

    async def pause(self, tree_sha256: bytes) -> Build:
        """Put the sandbox to sleep with these files."""
        build = await self.build()
        assert await self.builds.release(
            KEY, build.fence.epoch, build.generation, BuildState.PAUSED, timedelta()
        ) is ReleaseVerdict.RELEASED  # fmt: skip
        await self.builds.paused(build, tree_sha256)
        return await self.build()

    async def create(self) -> None:
        """Make the sandbox of the current generation."""
        generation = (await self.build()).generation
        assert await self.sandboxes.created(KEY, generation, f"b/{generation}", "boot")
        assert await self.sandboxes.live(KEY, generation)

    async def begin(self, sequence: int, *, block: int = 0, epoch: int = 1, command: str = "true") -> Begun:
        """Announce an operation in the current generation."""
        generation = (await self.build()).generation
        position = Position(sequence, block)
        call = Call(KEY, epoch, generation, f"r/{sequence}/{block}", position, Bash(command, 1))
        return await self.operations.begin(call)

    async def record(self, sequence: int, *, generation: int = 0, block: int = 0, claims: int = 1) -> Recorded:
        """Close an operation as done."""
        generation = generation or (await self.build()).generation
        op_id = f"r/{sequence}/{block}"
        return await self.operations.record(KEY, generation, op_id, OperationState.DONE, DONE, claims)

    async def run(self, sequence: int, *, block: int = 0) -> None:
        """Announce and close an operation."""
        assert (await self.begin(sequence, block=block)).verdict is Verdict.RUN
        assert await self.record(sequence, block=block) is Recorded.RECORDED

    async def snapshot(self, name: str) -> bool:
        """Announce and publish an empty snapshot; tells whether it was published."""
        build, covered = await self.build(), await self.snapshots.covered(KEY)
        assert await self.snapshots.announce(build, name, covered, NO_FILES, NO_FILES.encode(), None)
        return await self.snapshots.publish(build, name) is not None

    async def states(self) -> list[OperationState]:
        """The states of all operations, in the order of the log."""
        return [each.state for each in await self.operations.page(KEY, NOTHING, 100)]


@asynccontextmanager
async def running_rows(dsn: str) -> AsyncIterator[Rows]:
    """A build whose first sandbox is ready."""
    async with running_pool(dsn) as pool:
        rows = Rows(pool)
        assert await rows.attach() is FenceVerdict.FENCED
        await rows.next_generation()
        yield rows
