"""The rows of builds: fences, generations, readiness."""

import enum
from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from taor_sandbox.outcome import INTERRUPTED
from taor_sandbox.records import Build, BuildKey, BuildState, Fence, Position, SandboxState

_FENCE = "SELECT fence_build($1, $2, $3, $4, $5, $6)"
_PLAN = "SELECT plan_generation($1, $2, $3, $4, $5)"
_MAKE_READY = "SELECT make_ready($1, $2, $3, $4, $5)"
_RENEW_NONCE = "SELECT renew_nonce($1, $2, $3, $4, $5, $6, $7)"
_RELEASE = "SELECT release_build($1, $2, $3, $4, $5, $6)"
_PAUSED = """
UPDATE builds SET paused_tree_sha256 = $5
WHERE tenant_id = $1 AND build_id = $2 AND epoch = $3 AND generation = $4 AND state = 'PAUSED'
"""
_EXPIRE_KEPT = "SELECT expire_kept($1, $2)"
_TENANTS = "SELECT DISTINCT tenant_id FROM builds LIMIT $1"
_BUILD = """
SELECT b.tenant_id, b.build_id, b.epoch, b.attach_number, b.state, b.generation, b.nonce, b.base_sequence, b.base_block,
       b.snapshot_id, b.paused_tree_sha256, s.state AS sandbox_state, s.provider_id, s.boot_id
FROM builds b LEFT JOIN sandboxes s
  ON s.tenant_id = b.tenant_id AND s.build_id = b.build_id AND s.generation = b.generation
"""
_GET = _BUILD + "WHERE b.tenant_id = $1 AND b.build_id = $2"
_RUNNING = _BUILD + (
    "WHERE b.tenant_id = $1 AND b.state IN ('READY', 'KEPT') AND s.state = 'LIVE' AND b.build_id > $2 "
    "ORDER BY b.build_id LIMIT $3"
)
_GET_OF_ANY_TENANT = _BUILD + "WHERE b.build_id = $1"


class FenceVerdict(enum.Enum):
    """Whether an Attach call may act."""

    FENCED = "FENCED"
    STALE_EPOCH = "STALE_EPOCH"
    SUPERSEDED = "SUPERSEDED"


class ReleaseVerdict(enum.Enum):
    """Whether a sandbox was released."""

    RELEASED = "RELEASED"
    NOT_FOUND = "NOT_FOUND"
    STALE_EPOCH = "STALE_EPOCH"
    STALE_GENERATION = "STALE_GENERATION"


class Builds:
    """Reads and changes the rows of builds."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def fence(self, key: BuildKey, project_id: str, fence: Fence, owner: str) -> FenceVerdict:
        """Raise the fence of a build; the first time makes its row."""
        verdict = await self._pool.fetchval(_FENCE, *key, project_id, fence.epoch, owner, fence.attach_number)
        return FenceVerdict(verdict)

    async def get(self, key: BuildKey) -> Build | None:
        """The build with the sandbox of its current generation."""
        row = await self._pool.fetchrow(_GET, *key)
        return None if row is None else _build(row)

    async def of_preview(self, build_id: str) -> Build | None:
        """The build that a preview token names; the caller proves the tenant by the token's signature."""
        row = await self._pool.fetchrow(_GET_OF_ANY_TENANT, build_id)
        return None if row is None else _build(row)

    async def plan(self, build: Build) -> bool:
        """Begin the next generation, from the newest snapshot; False when another Attach or plan was faster."""
        planned: bool = await self._pool.fetchval(_PLAN, *_fenced(build))
        return planned

    async def make_ready(self, build: Build) -> bool:
        """Open the current generation for operations; False when overtaken."""
        ready: bool = await self._pool.fetchval(_MAKE_READY, *_fenced(build))
        return ready

    async def renew_nonce(self, key: BuildKey, generation: int, nonce: int) -> None:
        """After the next nonce stands inside the sandbox: count on, and close what was starting as interrupted."""
        text = INTERRUPTED.text
        code = INTERRUPTED.code
        assert code is not None
        await self._pool.execute(_RENEW_NONCE, *key, generation, nonce, text, code.value, INTERRUPTED.text_sha256)

    async def release(
        self, key: BuildKey, epoch: int, generation: int, state: BuildState, keep: timedelta
    ) -> ReleaseVerdict:
        """End the use of the sandbox; `keep` says how long it stays for previews."""
        return ReleaseVerdict(await self._pool.fetchval(_RELEASE, *key, epoch, generation, state.value, keep))

    async def paused(self, build: Build, tree_sha256: bytes) -> None:
        """Note what the files of a paused sandbox are, unless somebody wakes it already."""
        await self._pool.execute(_PAUSED, *build.key, build.fence.epoch, build.generation, tree_sha256)

    async def expire_kept(self, tenant_id: str, most: int) -> Sequence[BuildKey]:
        """Give up the sandboxes whose time for previews is over; returns their builds."""
        return [BuildKey(tenant_id, row[0]) for row in await self._pool.fetch(_EXPIRE_KEPT, tenant_id, most)]

    async def tenants(self, most: int) -> Sequence[str]:
        """The tenants that have builds, for the reaper's rounds."""
        return [row["tenant_id"] for row in await self._pool.fetch(_TENANTS, most)]

    async def running(self, tenant_id: str, after: str, most: int) -> Sequence[Build]:
        """Builds whose sandbox is believed to run, by id."""
        return [_build(row) for row in await self._pool.fetch(_RUNNING, tenant_id, after, most)]


def _fenced(build: Build) -> tuple[str, str, int, int, int]:
    return (*build.key, build.fence.epoch, build.fence.attach_number, build.generation)


def _build(row: asyncpg.Record) -> Build:
    return Build(
        key=BuildKey(row["tenant_id"], row["build_id"]),
        fence=Fence(row["epoch"], row["attach_number"]),
        state=BuildState(row["state"]),
        generation=row["generation"],
        nonce=row["nonce"],
        base=Position(row["base_sequence"], row["base_block"]),
        snapshot_id=row["snapshot_id"],
        sandbox_state=SandboxState(row["sandbox_state"]) if row["sandbox_state"] else None,
        provider_id=row["provider_id"],
        boot_id=row["boot_id"],
        paused_tree_sha256=row["paused_tree_sha256"],
    )
