"""Check 13: what people were told is what the log says, in order, once."""

from collections.abc import Iterator
from itertools import zip_longest

from taor_cli.audit.evidence import Evidence, LogKind, LogRow
from taor_cli.audit.findings import Check, Finding
from taor_cli.audit.messages import ToolUse, fields, said, texts, tool_results, tool_uses
from taor_cli.events import (
    AllowanceLow,
    Documented,
    Ended,
    Escalated,
    Event,
    MessageRead,
    Narrated,
    ToolAnswered,
    ToolCalled,
    TurnTaken,
)

# One derived fact: its kind, the entry it comes from, and what it says.
Fact = tuple[object, ...]
_KINDS = ("turn", "call", "answer", "end")
_KINDS_AT_REST = (*_KINDS, "narration", "documentation", "question", "message", "allowance")
# How much of a long text is compared: events may cut it in the middle.
_COMPARED = 200
_OUTCOME = ("state", "message", "preview_port", "verification_command", "verification_outcome")
# What opens a note on the day's allowance that is told to people too; the amount follows.
_LOW = "taor-budget: low\n\nThe allowance of "
# The tools whose whole effect is to tell something: the kind of fact, and the argument that is told.
_LOCAL = {
    "narrate": ("narration", "message"),
    "document": ("documentation", "section"),
    "escalate": ("question", "question"),
}


def told(evidence: Evidence) -> Iterator[Finding]:
    """13: events 1..m without a gap; the derived ones are those of the log; the end comes once, and last."""
    events = evidence.events
    for expected, event in enumerate(events, start=1):
        if event.sequence != expected:
            yield Finding(f"event {expected}", f"is missing; event {event.sequence} stands in its place")
            return
        if isinstance(event.what, Ended) and expected != len(events):
            yield Finding(f"event {expected}", "is the end, and more follows")
    if len(events) < evidence.build.last_event_sequence:
        yield Finding(f"event {len(events) + 1}", f"is missing; the build has {evidence.build.last_event_sequence}")
    if evidence.build.state.is_ended and not (events and isinstance(events[-1].what, Ended)):
        yield Finding(f"event {len(events)}", "is not the end, but the build has ended")
    projected = evidence.inspection.projected_sequence
    if evidence.build.state.is_resting and projected != len(evidence.log):
        yield Finding(f"build {evidence.build.build_id}", f"is derived up to log {projected} of {len(evidence.log)}")
    yield from _compare(evidence)


def _compare(evidence: Evidence) -> Iterator[Finding]:
    """A build at work may not have derived its newest entries yet; what it has derived must be a beginning."""
    newest = max((event.log_sequence for event in evidence.events), default=0)
    is_whole = evidence.build.state.is_resting
    by_log = tuple(_facts_of_log(evidence.log if is_whole else evidence.log[:newest]))
    by_events = tuple(fact for event in evidence.events if (fact := fact_of_event(event)))
    for kind in _KINDS_AT_REST if is_whole else _KINDS:
        expected = [fact for fact in by_log if fact[0] == kind]
        actual = [fact for fact in by_events if fact[0] == kind]
        for number, (logged, event) in enumerate(zip_longest(expected, actual), start=1):
            if logged != event:
                yield Finding(f"{kind} {number} of the events", f"is {_show(event)}, the log says {_show(logged)}")
                break


def _show(fact: Fact | None) -> str:
    return "missing" if fact is None else ", ".join(map(str, fact[1:]))


def fact_of_event(event: Event) -> Fact | None:
    """What an event tells; None for one that no entry tells."""
    match event.what:
        case TurnTaken() as turn:
            numbers = (turn.prompt_tokens, turn.cache_read_tokens, turn.output_tokens)
            return ("turn", event.log_sequence, turn.turn, *numbers, turn.text)
        case ToolCalled() as called:
            return ("call", event.log_sequence, called.op_id, called.tool)
        case ToolAnswered() as answered:
            return ("answer", event.log_sequence, answered.op_id, answered.tool, answered.failed)
        case Narrated(message):
            return ("narration", message)
        case Documented(section):
            return ("documentation", section)
        case Escalated(question):
            return ("question", question[:_COMPARED])
        case MessageRead(inbox_id, text):
            return ("message", event.log_sequence, inbox_id, text[:_COMPARED])
        case AllowanceLow() as low:
            return ("allowance", event.log_sequence, f"${low.limit_microdollars / 1_000_000:.6f}")
        case Ended() as ended if event.log_sequence:  # a fork that could not be made ends without a log
            proof = (ended.verification_command, ended.verification_outcome)
            return ("end", event.log_sequence, ended.state.value, ended.message, ended.preview_port, *proof)
        case _:
            return None


def _facts_of_log(rows: tuple[LogRow, ...]) -> Iterator[Fact]:
    turn = 0
    for row in rows:
        turn += row.kind is LogKind.ASSISTANT
        if not row.origin_build_id:
            yield from facts_of_entry(rows, row, turn)


def facts_of_entry(rows: tuple[LogRow, ...], row: LogRow, turn: int) -> Iterator[Fact]:
    """What an entry tells; `turn` is its number if it is an answer."""
    match row.kind:
        case LogKind.ASSISTANT:
            yield ("turn", row.sequence, turn, *_numbers(row), said(row))
            for use in tool_uses(row):
                yield ("call", row.sequence, _op_id(row, use), use.name)
        case LogKind.USER:
            yield from _answered(rows, row)
            for inbox_id, text in zip(row.inbox_ids, texts(row), strict=False):
                yield ("message", row.sequence, inbox_id, text[:_COMPARED])
            for text in texts(row):
                if text.startswith(_LOW):
                    yield ("allowance", row.sequence, text.removeprefix(_LOW).split(" ", 1)[0])
        case LogKind.OUTCOME:
            outcome = fields(row)
            yield ("end", row.sequence, *(outcome.get(name) for name in _OUTCOME))
        case LogKind.HEAD | LogKind.UNKNOWN:
            pass


def _numbers(row: LogRow) -> tuple[int, int, int]:
    usage = row.call.usage if row.call else None
    return (usage.prompt_tokens, usage.cache_read_tokens, usage.output_tokens) if usage else (0, 0, 0)


def _answered(rows: tuple[LogRow, ...], row: LogRow) -> Iterator[Fact]:
    """Each result of a user message, and what an accepted local tool has told."""
    results = tool_results(row)
    if not results or row.sequence < 2:
        return
    asked = rows[row.sequence - 2]
    for use, result in zip(tool_uses(asked), results, strict=False):
        yield ("answer", row.sequence, _op_id(asked, use), use.name, result.failed)
        if not result.failed and use.name in _LOCAL:
            kind, argument = _LOCAL[use.name]
            yield (kind, str(use.arguments.get(argument))[: _COMPARED if kind == "question" else None])


def _op_id(row: LogRow, use: ToolUse) -> str:
    return f"{row.call.rid if row.call else ''}/{use.index}"


CHECKS = (Check(13, "what was told is what the log says", told),)
