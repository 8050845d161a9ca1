"""Pure: from the log to what its watchers see. The same entries always give the same events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from taor_orchestrator import escalation, localtools, winddown
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.transcript import ToolAnswer, Use, texts, tool_results, tool_uses

MAX_SUMMARY_CHARS = 200
MAX_ANSWER_CHARS = 2_000
_CUT = "\n[…]\n"

_TELLING_FIELDS = ("command", "pattern", "path", "message", "section", "summary")
"""The field of a tool's input that tells most about the call, by preference."""


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """The agent has thought: one answer of the model."""

    turn: int
    text: str
    prompt_tokens: int
    cache_read_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent calls a tool."""

    op_id: str
    tool: str
    summary: str


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool has answered."""

    op_id: str
    tool: str
    failed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Narrated:
    """The agent tells its user what it is doing."""

    message: str


@dataclass(frozen=True, slots=True)
class Documented:
    """The agent has written a section of the documentation; the content goes to the documents, not into the event."""

    section: str
    content: str


@dataclass(frozen=True, slots=True)
class BuildEnded:
    """The build has ended."""

    state: str
    message: str
    verification_command: str
    verification_outcome: str
    preview_port: int


@dataclass(frozen=True, slots=True)
class Escalated:
    """The agent has asked its user, and the build waits for the answer."""

    question: str
    tried: str
    options: tuple[str, ...]
    recommendation: str


@dataclass(frozen=True, slots=True)
class MessageRead:
    """The agent has got a text of its user, as it reads it."""

    inbox_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AllowanceLow:
    """The day's allowance is nearly used up, and the agent was told so."""

    limit_microdollars: int
    refresh_time: datetime


Event = (
    TurnTaken | ToolCalled | ToolAnswered | Narrated | Documented | Escalated | MessageRead | AllowanceLow | BuildEnded
)


@dataclass(frozen=True, slots=True)
class Derived:
    """An event with its place: the log entry it comes from and its number within it."""

    log_sequence: int
    position: int
    event: Event


def derive(history: History, after_sequence: int) -> Iterator[Derived]:
    """The events of every entry after `after_sequence`, in order."""
    for entry in history.entries[after_sequence:]:
        for position, event in enumerate(_events(history, entry)):
            yield Derived(entry.sequence, position, event)


def _events(history: History, entry: Entry) -> Iterator[Event]:
    match entry.kind:
        case EntryKind.ASSISTANT:
            yield from _answer_events(history, entry)
        case EntryKind.USER:
            yield from _result_events(history, entry)
            yield from _inbox_events(entry)
            yield from _budget_events(entry)
        case EntryKind.OUTCOME:
            outcome = localtools.read_outcome(entry.body)
            yield BuildEnded(
                outcome.state.value,
                outcome.message,
                outcome.verification_command,
                outcome.verification_outcome,
                outcome.preview_port,
            )
        case EntryKind.HEAD:
            pass


def _answer_events(history: History, answer: Entry) -> Iterator[Event]:
    assert answer.call is not None
    usage = answer.call.usage
    blocks = orjson.loads(answer.body)["content"]
    yield TurnTaken(
        turn=sum(each.sequence <= answer.sequence for each in history.of(EntryKind.ASSISTANT)),
        text="\n".join(block["text"] for block in blocks if block["type"] == "text"),
        prompt_tokens=usage.prompt_tokens if usage else 0,
        cache_read_tokens=usage.cache_read_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
    )
    for use in tool_uses(answer):
        yield ToolCalled(f"{answer.call.rid}/{use.index}", use.name, summary_of(use.input))


def _result_events(history: History, message: Entry) -> Iterator[Event]:
    """Results belong to the calls of the answer before them by their order: compatible servers repeat their ids."""
    answer = history.entries[message.sequence - 2]
    if answer.kind is not EntryKind.ASSISTANT or answer.call is None:
        return
    for use, result in zip(tool_uses(answer), tool_results(message), strict=False):
        yield ToolAnswered(f"{answer.call.rid}/{use.index}", use.name, result.failed, _cut(result.text))
        if (said := _said(use, result)) is not None:
            yield said


def _inbox_events(message: Entry) -> Iterator[Event]:
    """A message that carries texts of people has a block for each."""
    if message.inbox_ids:
        for inbox_id, text in zip(message.inbox_ids, texts(message), strict=False):
            yield MessageRead(inbox_id, _cut(text))


def _budget_events(message: Entry) -> Iterator[Event]:
    for text in texts(message) if winddown.MARK.encode() in message.body else ():
        if (told := winddown.read_note(text)) is not None:
            yield AllowanceLow(told.limit_microdollars, told.refresh_time)


def _said(use: Use, result: ToolAnswer) -> Event | None:
    """What an accepted call of a local tool tells the user."""
    if result.failed:
        return None
    if use.name == "narrate":
        return Narrated(str(use.input["message"]))
    if use.name == "document":
        return Documented(str(use.input["section"]), str(use.input["content"]))
    if use.name == escalation.TOOL:
        asked = escalation.question_of(use)
        options = tuple(_cut(option) for option in asked.options)
        return Escalated(_cut(asked.question), _cut(asked.tried), options, _cut(asked.recommendation))
    return None


def summary_of(fields: Mapping[str, object]) -> str:
    """The input of a tool in one line."""
    told = next((str(fields[name]) for name in _TELLING_FIELDS if name in fields), "")
    line = " ".join(told.split())
    return line if len(line) <= MAX_SUMMARY_CHARS else line[: MAX_SUMMARY_CHARS - 1] + "…"


def _cut(text: str) -> str:
    if len(text) <= MAX_ANSWER_CHARS:
        return text
    half = (MAX_ANSWER_CHARS - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]
