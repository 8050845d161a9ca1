"""What a watcher knows about a build: a fold over its events. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from taor_cli.builds import Allowance, Build, BuildState
from taor_cli.events import Ended, Event, StateChanged, ToolAnswered, ToolCalled, TurnTaken, Words

MAX_WORDS_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Money:
    """What the build has cost so far, and what its user may spend today."""

    spent_microdollars: int
    today: Allowance


@dataclass(frozen=True, slots=True)
class Picture:
    """A build at one moment of its story."""

    build_id: str
    project_id: str
    model: str
    scripted: bool
    began: datetime
    state: BuildState = BuildState.QUEUED
    turns: int = 0
    tool_calls: int = 0
    failed_tool_calls: int = 0
    running: tuple[ToolCalled, ...] = ()
    ended: Ended | None = None
    ended_at: datetime | None = None
    money: Money | None = None
    words: Words | None = None
    """What the agent says at this moment, as far as it has come; None when it does not."""
    lost_seconds: float | None = None
    """How long the connection has been lost; None while it stands."""


def first_picture(build: Build, *, scripted: bool) -> Picture:
    """The picture before the first event."""
    return Picture(build.build_id, build.project_id, build.model, scripted, build.create_time)


def observe(picture: Picture, event: Event) -> Picture:
    """The picture after one more event."""
    picture = replace(picture, lost_seconds=None)
    match event.what:
        case TurnTaken(turn=turn):
            spoken = picture.words is not None and picture.words.turn <= turn
            return replace(picture, turns=turn, words=None if spoken else picture.words)
        case ToolCalled() as called:
            return replace(picture, tool_calls=picture.tool_calls + 1, running=(*picture.running, called))
        case ToolAnswered() as answered:
            return _answered(picture, answered)
        case StateChanged(after=state):
            return replace(picture, state=state)
        case Ended() as ended:
            return replace(picture, state=ended.state, ended=ended, ended_at=event.time, running=())
        case _:
            return picture


def hear(picture: Picture, words: Words) -> Picture:
    """The picture after some more words of a running call; those of another call take the place of what was heard."""
    if words.turn <= picture.turns:
        return picture
    earlier = picture.words
    if earlier is not None and (earlier.turn, earlier.call_id) == (words.turn, words.call_id):
        words = replace(words, text=(earlier.text + words.text)[-MAX_WORDS_CHARS:])
    return replace(picture, words=words, lost_seconds=None)


def _answered(picture: Picture, answered: ToolAnswered) -> Picture:
    return replace(
        picture,
        failed_tool_calls=picture.failed_tool_calls + answered.failed,
        running=tuple(call for call in picture.running if call.op_id != answered.op_id),
    )
