"""What happens in a build, in the order in which it happens."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from taor_cli.builds import BuildState, Question


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a call costs, when money is used up next, what the build still costs until when; None is not foreseen."""

    call_microdollars: int
    sleep_time: datetime | None
    finish_microdollars: int | None
    finish_time: datetime | None


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The build went into another state; when it rests for want of money, with how it may go on."""

    kind: ClassVar[str] = "state_changed"
    before: BuildState
    after: BuildState
    reason: str
    p50: Outlook | None = None
    p90: Outlook | None = None


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """The model has answered."""

    kind: ClassVar[str] = "turn_taken"
    turn: int
    text: str
    prompt_tokens: int
    cache_read_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent calls a tool."""

    kind: ClassVar[str] = "tool_called"
    op_id: str
    tool: str
    summary: str


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool has answered."""

    kind: ClassVar[str] = "tool_answered"
    op_id: str
    tool: str
    failed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Narrated:
    """The agent tells its user what it is doing."""

    kind: ClassVar[str] = "narrated"
    message: str


@dataclass(frozen=True, slots=True)
class Documented:
    """The agent has written a section of the documentation."""

    kind: ClassVar[str] = "documented"
    section: str


@dataclass(frozen=True, slots=True)
class Escalated(Question):
    """The agent has asked its user, and the build waits for the answer."""

    kind: ClassVar[str] = "escalated"


@dataclass(frozen=True, slots=True)
class MessageRead:
    """The agent has got a text of its user, as it reads it."""

    kind: ClassVar[str] = "message_read"
    inbox_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Forked:
    """The build was forked from another one; what happened there is not told again."""

    kind: ClassVar[str] = "forked"
    origin_build_id: str
    turn: int


@dataclass(frozen=True, slots=True)
class AllowanceLow:
    """The day's allowance is nearly used up: the agent leaves things in order, and the build will rest."""

    kind: ClassVar[str] = "allowance_low"
    limit_microdollars: int
    refresh_time: datetime
    p50: Outlook | None = None
    p90: Outlook | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The build has ended; nothing follows."""

    kind: ClassVar[str] = "ended"
    state: BuildState
    message: str
    verification_command: str
    verification_outcome: str
    preview_port: int


@dataclass(frozen=True, slots=True)
class Unfamiliar:
    """Something that a newer installation tells and this command does not know."""

    kind: ClassVar[str] = "unfamiliar"


What = (
    StateChanged
    | TurnTaken
    | ToolCalled
    | ToolAnswered
    | Narrated
    | Documented
    | Escalated
    | MessageRead
    | Forked
    | AllowanceLow
    | Ended
    | Unfamiliar
)


@dataclass(frozen=True, slots=True)
class Words:
    """Some words of a model call that runs: no event, provisional, and replaced by those of another call."""

    turn: int
    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, with its number in the build."""

    sequence: int
    log_sequence: int
    time: datetime
    what: What
