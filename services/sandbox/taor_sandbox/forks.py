"""Forks: a new build begins with the files of another one, as they stood after an entry of that one's log."""

from typing import assert_never

from taor_sandbox.errors import ForkConflict, NoSnapshot, ProjectMismatch
from taor_sandbox.records import BuildKey, Moment, Snapshot
from taor_sandbox.store.forks import ForkRows, PinVerdict


class Forks:
    """Pins snapshots for the builds that begin with them."""

    def __init__(self, rows: ForkRows) -> None:
        self._rows = rows

    async def pin(self, key: BuildKey, project_id: str, origin: Moment, *, redo: bool) -> Snapshot | None:
        """Give a new build the files of a moment, once; the snapshot that it begins with, or None for no files.

        Where no snapshot holds them, and `redo` is wished, its first sandbox runs the operations since an older one
        again. Raises NoSnapshot, ProjectMismatch or ForkConflict.
        """
        match await self._rows.pin(key, project_id, origin, redo=redo):
            case PinVerdict.PINNED:
                return await self._rows.inherited(key)
            case PinVerdict.NO_SNAPSHOT:
                raise NoSnapshot(origin.key.build_id, origin.log_sequence)
            case PinVerdict.PROJECT_MISMATCH:
                raise ProjectMismatch(origin.key.build_id)
            case PinVerdict.CONFLICT:
                raise ForkConflict(key.build_id)
            case verdict:
                assert_never(verdict)
