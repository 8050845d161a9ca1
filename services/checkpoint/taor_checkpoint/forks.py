"""Forks: a new build begins with the beginning of another one's log."""

from typing import assert_never

from taor_checkpoint.entries import Fork
from taor_checkpoint.errors import ForkConflict, ForkPointInvalid, ProjectMismatch, SessionNotFound
from taor_checkpoint.store.forks import ForkOutcome, ForkStore


class Forks:
    """Copies beginnings of logs as they are stored: the key of a project opens them for each of its builds."""

    def __init__(self, store: ForkStore) -> None:
        self._store = store

    async def make(self, fork: Fork) -> int:
        """Give the new build its log, and the same answer to a repeated call; returns the head that it begins with.

        Raises SessionNotFound, ProjectMismatch, ForkPointInvalid or ForkConflict.
        """
        made = await self._store.make(fork)
        match made.outcome:
            case ForkOutcome.DONE:
                return made.head
            case ForkOutcome.SESSION_NOT_FOUND:
                raise SessionNotFound(fork.origin_build_id)
            case ForkOutcome.PROJECT_MISMATCH:
                raise ProjectMismatch(fork.origin_build_id)
            case ForkOutcome.FORK_POINT_INVALID:
                raise ForkPointInvalid(fork.head, made.head)
            case ForkOutcome.FORK_CONFLICT:
                raise ForkConflict(fork.session_id.build_id)
            case _:
                assert_never(made.outcome)
