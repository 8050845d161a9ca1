"""Forks: a new build from a closed turn of another one, with its log and its files.

The row comes first, FORKING; then the files are pinned, the log is copied, and the build is queued. Each step may be
repeated, so whoever finds a fork half made goes on with it: the same request again, or the round of any replica.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from taor_chassis.clock import Ids
from taor_orchestrator.clients.admission import AdmissionClient
from taor_orchestrator.clients.forks import InheritanceClient
from taor_orchestrator.errors import ForkFailed
from taor_orchestrator.history import History
from taor_orchestrator.lineage import Lineage
from taor_orchestrator.ports import DependencyDown
from taor_orchestrator.store.builds import BuildStore, NewBuild, Request
from taor_orchestrator.store.failures import dependable
from taor_orchestrator.store.forks import Forking, ForkPoint, ForkStore
from taor_orchestrator.turns import documents_of

ROUND_SECONDS = 5.0
LEFT_BEHIND_SECONDS = 30.0
"""After this, whoever began a fork must be gone; if not, both do the same."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be forked, and how it shall go on; empty model and tier stand for those of the origin."""

    build_id: str
    at_turn: int
    model: str
    tier: str
    instruction: str
    redo: bool
    """Whether tool calls may be run again, where no snapshot holds the files."""


class Forks:
    """Makes forks, and ends what others have left half made."""

    def __init__(
        self,
        builds: BuildStore,
        store: ForkStore,
        lineage: Lineage,
        inheritance: InheritanceClient,
        admission: AdmissionClient,
        ids: Ids,
    ) -> None:
        self._builds = builds
        self._store = store
        self._lineage = lineage
        self._inheritance = inheritance
        self._admission = admission
        self._ids = ids

    async def make(self, tenant_id: str, order: Order, request: Request) -> str:
        """Make a fork, once; its id.

        Raises `BuildNotFound`, `TurnNotKept`, `NotAdmitted`, `RequestIdConflict`, or `ForkFailed`.
        """
        build_id = await self._builds.find_request(tenant_id, request)
        if build_id is None:
            build_id = await self._begin(tenant_id, order, request)
        if (forking := await self._store.forking(tenant_id, build_id)) is not None:
            await self._finish(forking)
        return build_id

    async def run(self, stopping: asyncio.Event) -> None:
        """Go on with forks that were left half made, until `stopping` is set."""
        while not stopping.is_set():
            try:
                await self.round(LEFT_BEHIND_SECONDS)
            except DependencyDown as down:
                _log.warning("forks cannot be looked for", extra={"why": str(down)})
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def round(self, after_seconds: float) -> None:
        """Go on with every fork that was begun so long ago."""
        async with dependable():
            left = await self._store.left_behind(after_seconds)
        for forking in left:
            try:
                await self._finish(forking)
            except ForkFailed as failed:
                _log.warning("a fork has failed", extra={"build_id": forking.build_id, "why": failed.message})
            except Exception:  # the boundary of one fork: the others do not wait for it, and the next round tries again
                _log.exception("a fork cannot be gone on with", extra={"build_id": forking.build_id})

    async def _begin(self, tenant_id: str, order: Order, request: Request) -> str:
        build = await self._lineage.build(tenant_id, order.build_id)
        known = await self._lineage.turn(tenant_id, build, order.at_turn, must_be_kept=not order.redo)
        build_id, home = self._ids.uuid7(), known.home
        tier, model = order.tier or build.tier, order.model or build.model
        admission = await self._admission.admit(build_id, build.user_id, tier, model)
        new_build = NewBuild(
            build_id=build_id,
            tenant_id=tenant_id,
            user_id=build.user_id,
            project_id=build.project_id,
            tier=admission.tier,
            model=admission.model,
            max_output_tokens=admission.max_output_tokens,
            max_concurrent_builds=admission.max_concurrent_builds,
            priority=admission.priority,
            assignment=await self._store.assignment(tenant_id, home.build_id),
            origin_build_id=home.build_id,
            origin_turn=order.at_turn,
        )
        point = ForkPoint(home.build_id, known.turn.log_sequence, known.turn.head, order.redo)
        return await self._store.begin(new_build, point, order.instruction, request)

    async def _finish(self, forking: Forking) -> None:
        """Pin, copy, ticket; every step finds what was done of it before."""
        try:
            await self._inheritance.pin(forking)
            await self._inheritance.copy(forking)
        except ForkFailed as failed:
            await self._store.fail(forking, f"It could not be forked: {failed.message}")
            raise
        history = await self._inheritance.history(forking.build_id)
        await self._store.ticket(forking, documents_of(History(history.entries[: forking.point.head])))
