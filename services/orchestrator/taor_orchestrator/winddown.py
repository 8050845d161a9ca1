"""Pure: how a build lets go of a day. It is told once, takes a few more turns to leave things in order, and rests."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from taor_orchestrator.history import EntryKind, History
from taor_orchestrator.money import Allowance

LOW_PERCENT = 90
"""From this share of the day's allowance on, the agent is told to hand over."""
HANDOVER_TURNS = 3
"""How many answers it may still give after it was told."""

MARK = "taor-budget: low"
"""Opens the note. The notes of logs that have none are told to nobody but the agent, as they always were."""
_TIME = "%Y-%m-%d %H:%M:%S UTC"
_NOTE = re.compile(MARK + r"\n\nThe allowance of \$(\d+)\.(\d{6}) until ([\d-]+ [\d:]+ UTC) ")


@dataclass(frozen=True, slots=True)
class Told:
    """The allowance that a note is about."""

    limit_microdollars: int
    refresh_time: datetime.datetime


def is_low(allowance: Allowance) -> bool:
    """Whether the day's allowance is nearly spent."""
    return allowance.spent_microdollars * 100 >= allowance.limit_microdollars * LOW_PERCENT


def is_over(history: History, allowance: Allowance) -> bool:
    """Whether the agent has had the answers that it may give after it was told."""
    return is_low(allowance) and (answers_since_told(history, allowance) or 0) >= HANDOVER_TURNS


def note(allowance: Allowance) -> str:
    """What the agent is told. It names the allowance, so another day or a top-up is another note."""
    return (
        f"{MARK}\n\n{_name(allowance)} is nearly used up, and the build will rest until there is more. Finish the step "
        "that you are in. Then write down in HANDOVER.md what is done, what is not, and what comes next, and commit it "
        "if the project is under git: you will read it when you go on. "
        f"You have at most {HANDOVER_TURNS} answers for that. If the whole build can be finished in them, finish it."
    )


def read_note(text: str) -> Told | None:
    """What a text that the agent got tells of an allowance; None when it is no note."""
    if (found := _NOTE.match(text)) is None:
        return None
    refresh_time = datetime.datetime.strptime(found[3], _TIME).replace(tzinfo=datetime.UTC)
    return Told(int(found[1] + found[2]), refresh_time)


def answers_since_told(history: History, allowance: Allowance) -> int | None:
    """How many answers the agent has given since it was told of this allowance; None when it was not."""
    name, answers = _name(allowance).encode(), 0
    for entry in reversed(history.entries):
        if entry.is_inherited:
            return None  # what its origin was told was about other turns
        if entry.kind is EntryKind.ASSISTANT:
            answers += 1
        elif entry.kind is EntryKind.USER and name in entry.body:
            return answers
    return None


def _name(allowance: Allowance) -> str:
    dollars, microdollars = divmod(allowance.limit_microdollars, 1_000_000)
    return f"The allowance of ${dollars}.{microdollars:06} until {allowance.refresh_time.strftime(_TIME)}"
