"""The figures of a run, and both ways of checking beside each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from tests.hammer.history import Event, Line
from tests.hammer.post_hoc import Demand, Growth, Outcome, check_afterwards
from tests.hammer.verdict import TENANT

# Without the earmarks, whose numbers are odd: they pay no call, and may lie above the allowance, below the hard stop.
_DAYS = """
SELECT user_id, extract(epoch FROM at)::float8 AS at, allowance_delta AS allowance, reserved_delta AS reserved,
       spent_delta AS spent
  FROM journal WHERE tenant_id = $1 AND period LIKE 'day/%' AND (k IS NULL OR k % 2 = 0)
 ORDER BY user_id, sequence LIMIT 1000000"""


async def compare(pool: asyncpg.Pool, lines: Sequence[Line], users: Mapping[str, str]) -> tuple[Outcome, Outcome]:
    """What our ledger did, and what a checker that checks afterwards would have done with the same demand."""
    days = await pool.fetch(_DAYS, TENANT)
    wanted = [line for line in lines if line.event is Event.WANTED]
    held = {line.subject for line in lines if line.event is Event.HELD} & {line.subject for line in wanted}
    demands = [
        Demand(users[line.subject.split("/")[0]], line.at_seconds, line.lasts_seconds, line.microdollars)
        for line in wanted
    ]
    growths = [Growth(row["user_id"], row["at"], row["allowance"]) for row in days if row["allowance"]]
    ours = _ours(days)
    ours.calls, ours.denied = len(held), len(wanted) - len(held)
    return ours, check_afterwards(demands, growths)


def _ours(days: Sequence[asyncpg.Record]) -> Outcome:
    total = Outcome()
    left: Counter[str] = Counter()
    over: Counter[str] = Counter()
    for row in days:
        user_id = row["user_id"]
        total.spent += row["spent"]
        left[user_id] += row["allowance"] - row["reserved"] - row["spent"]
        over[user_id] = max(over[user_id], -left[user_id])
    total.overshoot = max(over.values(), default=0)
    total.accounts_over = sum(each > 0 for each in over.values())
    return total


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    clients: int
    kills: Counter[str]
    audits: int
    lines: Sequence[Line]
    wrong: Sequence[str]
    ours: Outcome
    theirs: Outcome

    def __str__(self) -> str:
        told = Counter(line.event for line in self.lines)
        acknowledged = sum(told[each] for each in (Event.HELD, Event.SETTLED, Event.CHARGED, Event.TOPPED_UP))
        kills = ", ".join(f"{count} of {what}" for what, count in sorted(self.kills.items()))
        return "\n".join(
            [
                f"{self.clients} client processes; kills: {kills}",
                f"{acknowledged:,} acknowledgements in the clients' histories: {told[Event.HELD]:,} holds, "
                f"{told[Event.SETTLED]:,} settlements, {told[Event.CHARGED]:,} charges, "
                f"{told[Event.TOPPED_UP]:,} top-ups",
                f"{self.audits:,} audits of an account while it ran; violations: {len(self.wrong)}",
                *self.wrong[:20],
                "",
                "| the same demand | calls | denied | spent | most above an account's limit | accounts over it |",
                "|---|---|---|---|---|---|",
                _row("spend checked after each call", self.theirs),
                _row("taor: reserved before, settled after", self.ours),
                "",
            ]
        )


def _row(name: str, outcome: Outcome) -> str:
    return (
        f"| {name} | {outcome.calls:,} | {outcome.denied:,} | ${outcome.spent / 1e6:,.2f} "
        f"| ${outcome.overshoot / 1e6:,.2f} | {outcome.accounts_over} |"
    )
