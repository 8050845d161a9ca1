"""What was used and what it cost, in groups."""

from dataclasses import dataclass
from enum import Enum

from taor_budget.pricing import Usage


class Grouping(Enum):
    """How rows are made."""

    BUILD = "BUILD"
    MODEL = "MODEL"
    DAY = "DAY"
    TOOL = "TOOL"


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one group has used; money in microdollars. Of a tool the calls are its uses, and the rest is their share."""

    group: str
    calls: int
    usage: Usage
    charged_calls: int
    charged: int
    cost: int
