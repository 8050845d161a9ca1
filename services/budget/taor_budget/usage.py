"""What was used and what it cost, in groups."""

from dataclasses import dataclass
from enum import Enum

from taor_budget.pricing import Usage


class Grouping(Enum):
    """How rows are made."""

    BUILD = "BUILD"
    MODEL = "MODEL"
    DAY = "DAY"


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one group has used; money in microdollars."""

    group: str
    calls: int
    usage: Usage
    charged_calls: int
    charged: int
    cost: int
