"""A build as people see it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BuildState(StrEnum):
    """Where a build stands; the names are those of the contract."""

    UNKNOWN = "UNKNOWN"
    FORKING = "FORKING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SLEEPING = "SLEEPING"
    WAITING_BUDGET = "WAITING_BUDGET"
    WAITING_ANSWER = "WAITING_ANSWER"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PAUSED = "PAUSED"

    @property
    def is_ended(self) -> bool:
        """Whether nothing will happen to the build any more."""
        return self in (BuildState.SUCCEEDED, BuildState.FAILED, BuildState.CANCELLED)

    @property
    def is_resting(self) -> bool:
        """Whether no process works on the build."""
        waits_for_people = self in (BuildState.WAITING_ANSWER, BuildState.PAUSED)
        return self.is_ended or waits_for_people or self in (BuildState.SLEEPING, BuildState.WAITING_BUDGET)


@dataclass(frozen=True, slots=True)
class DocumentSection:
    """A section of the documentation that the agent has written."""

    section: str
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the agent asks its user: what it tried, what could be done, and what it would do."""

    question: str
    tried: str
    options: tuple[str, ...]
    recommendation: str


@dataclass(frozen=True, slots=True)
class Build:
    """A build, as `taor show --json` prints it."""

    build_id: str
    project_id: str
    user_id: str
    tier: str
    model: str
    state: BuildState
    outcome_message: str
    turns: int
    tool_calls: int
    spent_microdollars: int
    preview_port: int
    last_event_sequence: int
    create_time: datetime
    end_time: datetime | None
    wake_time: datetime | None
    documentation: tuple[DocumentSection, ...] = ()
    question: Question | None = None
    """The question that nobody has answered yet."""
    origin_build_id: str = ""
    """The build that it was forked from; empty for one that was started."""
    origin_turn: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a user may spend today."""

    limit_microdollars: int
    spent_microdollars: int
    reserved_microdollars: int
    refresh_time: datetime | None
    tier: str
