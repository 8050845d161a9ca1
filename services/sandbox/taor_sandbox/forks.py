"""Forks: a new build begins with the files of another one, as they stood after an entry of that one's log."""

from typing import assert_never

from taor_sandbox.errors import ForkConflict, NoSnapshot, ProjectMismatch
from taor_sandbox.records import BuildKey, Moment, Snapshot
from taor_sandbox.store.forks import ForkRows, PinVerdict


class Forks:
    """Pins snapshots for the builds that begin with them."""

    def __init__(self, rows: ForkRows) -> None:
        self._rows = rows

    async def pin(self, key: BuildKey, project_id: str, origin: Moment) -> Snapshot | None:
        """Give a new build the files of a moment, once; what it begins with, or None for no files.

        Raises NoSnapshot, ProjectMismatch or ForkConflict.
        """
        match await self._rows.pin(key, project_id, origin):
            case PinVerdict.PINNED:
                _, snapshot = await self._rows.files_at(Moment(key, origin.log_sequence))
                return snapshot
            case PinVerdict.NO_SNAPSHOT:
                raise NoSnapshot(origin.key.build_id, origin.log_sequence)
            case PinVerdict.PROJECT_MISMATCH:
                raise ProjectMismatch(origin.key.build_id)
            case PinVerdict.CONFLICT:
                raise ForkConflict(key.build_id)
            case verdict:
                assert_never(verdict)
