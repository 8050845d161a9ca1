"""Turns of the money share commits: what waits while commits are under way is asked for in the next one, together.

Nothing waits for company: a call goes at once, alone, while a commit may be begun and none of its account is under way.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter

import asyncpg

from taor_budget.store.rows import LedgerTurn, TurnCall, turn_of
from taor_chassis.database import refusal

MOST_TOGETHER = 16

_ONE = "SELECT * FROM ledger_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
_MANY = "SELECT * FROM ledger_turns($1)"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call and where its caller waits for the answer."""

    call: TurnCall
    answer: "asyncio.Future[LedgerTurn]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def give(self, turn: LedgerTurn) -> None:
        """Answer, unless the caller is gone."""
        if not self.answer.done():
            self.answer.set_result(turn)

    def fail(self, error: Exception) -> None:
        """Tell why there is no answer, unless the caller is gone."""
        if not self.answer.done():
            self.answer.set_exception(error)


class SharedCommits:
    """Runs turns of the money, at most `lanes` transactions at a time, and no two of one account.

    The queue is as long as there are callers who wait.
    """

    def __init__(self, pool: asyncpg.Pool, lanes: int) -> None:
        self._pool = pool
        self._lanes = lanes
        self._queue: deque[Waiting] = deque()
        self._accounts: set[tuple[str, str]] = set()  # of the commits under way
        self._commits: set[asyncio.Task[None]] = set()

    async def turn(self, call: TurnCall) -> LedgerTurn:
        """The answer to this call, whatever becomes of those that share its commit.

        A caller who is cancelled is forgotten where the call still waits; one that is under way is done.
        """
        waiting = Waiting(call)
        self._queue.append(waiting)
        self._begin()
        return await waiting.answer

    def _begin(self) -> None:
        while len(self._commits) < self._lanes and (batch := self._take()):
            self._accounts.update(each.call.account for each in batch)
            commit = asyncio.create_task(self._commit(batch))
            self._commits.add(commit)
            commit.add_done_callback(partial(self._end, batch))

    def _end(self, batch: Sequence[Waiting], commit: "asyncio.Task[None]") -> None:
        """Begin the next: whoever was answered and asks again at once is in the queue by now."""
        self._commits.discard(commit)
        self._accounts.difference_update(each.call.account for each in batch)
        self._begin()

    def _take(self) -> list[Waiting]:
        """The first that wait, but for those whose account is busy."""
        batch: list[Waiting] = []
        left: deque[Waiting] = deque()
        for each in self._queue:
            if each.answer.done():
                continue
            free = len(batch) < MOST_TOGETHER and each.call.account not in self._accounts
            (batch if free else left).append(each)
        self._queue = left
        return batch

    async def _commit(self, batch: Sequence[Waiting]) -> None:
        try:
            for each, turn in zip(batch, await self._turns([each.call for each in batch]), strict=True):
                each.give(turn)
        except Exception as error:  # the callers' boundary: whatever it is, they wait for it
            if len(batch) > 1 and _is_undone(error):
                for each in batch:  # whose fault it is learns it alone
                    await self._commit([each])
                return
            for each in batch:
                each.fail(error)

    async def _turns(self, calls: Sequence[TurnCall]) -> list[LedgerTurn]:
        """Answers in the order of the calls."""
        if len(calls) == 1:
            return [turn_of(row) for row in await self._pool.fetch(_ONE, *calls[0].row)]
        rows = await self._pool.fetch(_MANY, [call.row for call in calls])
        return [turn_of(row) for row in sorted(rows, key=itemgetter("nth"))]


def _is_undone(error: Exception) -> bool:
    """Whether the database has refused what a statement does, and so undone all of it: nothing is unknown then."""
    return isinstance(error, asyncpg.PostgresError) and refusal(error) is None
