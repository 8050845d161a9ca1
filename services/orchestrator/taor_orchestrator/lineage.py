"""The turns of a build, those that it has inherited included, and where the files of each are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from taor_orchestrator.clients.forks import InheritanceClient, Moment
from taor_orchestrator.errors import BuildNotFound, ProjectMismatch, TurnNotKept
from taor_orchestrator.store.builds import BuildStore, StoredBuild
from taor_orchestrator.turns import Difference, Shelf, Turn, closed_turns, in_ranges

MAX_FORKS = 100
"""Of forks of forks: how far back the files of a turn are looked for."""


@dataclass(frozen=True, slots=True)
class KnownTurn:
    """A turn, the build that took it or was forked after it, and whether the files are kept there."""

    turn: Turn
    home: StoredBuild
    is_kept: bool

    @property
    def moment(self) -> Moment:
        """What the sandbox service calls it."""
        return Moment(self.home.build_id, self.turn.log_sequence)


class NamedTurn(NamedTuple):
    """A turn as a client names it."""

    build_id: str
    number: int


class Lineage:
    """Looks back over the forks that a build comes from."""

    def __init__(self, builds: BuildStore, inheritance: InheritanceClient) -> None:
        self._builds = builds
        self._inheritance = inheritance

    async def build(self, tenant_id: str, build_id: str) -> StoredBuild:
        """One build; raises `BuildNotFound`."""
        build = await self._builds.get(tenant_id, build_id)
        if build is None:
            raise BuildNotFound(f"no build has the id {build_id}", build_id=build_id)
        return build

    async def turns(self, tenant_id: str, build: StoredBuild) -> Sequence[KnownTurn]:
        """The closed turns of a build; the log is read before the snapshots, which then know all its operations."""
        history = await self._inheritance.history(build.build_id)
        homes = [(home, await self._inheritance.shelf(home.build_id)) for home in await self._homes(tenant_id, build)]
        return [_known(turn, homes) for turn in closed_turns(history)]

    async def turn(self, tenant_id: str, build: StoredBuild, number: int, *, must_be_kept: bool = True) -> KnownTurn:
        """One closed turn, as a rule with its files; raises `TurnNotKept`, which names those that could be had."""
        turns = await self.turns(tenant_id, build)
        for known in turns:
            if known.turn.number == number and (known.is_kept or not must_be_kept):
                return known
        kept = in_ranges(known.turn.number for known in turns if known.is_kept)
        why = "its files are not kept" if number <= len(turns) else "it is not closed yet, or was never taken"
        raise TurnNotKept(
            f"turn {number} of this build cannot be had: {why}. The turns that can: {kept or 'none yet'}", turns=kept
        )

    async def difference(self, tenant_id: str, before: NamedTurn, after: NamedTurn) -> Difference:
        """In which files two turns differ; raises `BuildNotFound`, `ProjectMismatch` or `TurnNotKept`."""
        builds = [await self.build(tenant_id, each.build_id) for each in (before, after)]
        if builds[0].project_id != builds[1].project_id:
            raise ProjectMismatch("the builds are of different projects; compare turns of one project")
        first, second = [
            await self.turn(tenant_id, build, each.number) for build, each in zip(builds, (before, after), strict=True)
        ]
        return await self._inheritance.difference(first.moment, second.moment)

    async def _homes(self, tenant_id: str, build: StoredBuild) -> Sequence[StoredBuild]:
        """The build, the one that it was forked from, and so on; one that was deleted ends it."""
        homes = [build]
        while (origin := homes[-1].origin_build_id) is not None and len(homes) < MAX_FORKS:
            found = await self._builds.get(tenant_id, origin)
            if found is None:
                break
            homes.append(found)
        return homes


def _known(turn: Turn, homes: Sequence[tuple[StoredBuild, Shelf]]) -> KnownTurn:
    """A fork has the files from the turn on after which it was forked; before that they are its origin's."""
    for home, shelf in homes:
        if turn.number >= home.origin_turn:
            return KnownTurn(turn, home, shelf.has(turn))
    return KnownTurn(turn, homes[-1][0], is_kept=False)
