"""Wire messages as our own records."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from taor.budget.v1 import budget_pb2
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli import events
from taor_cli.builds import Allowance, Build, BuildState, DocumentSection, Question


def moment(timestamp: Timestamp) -> datetime:
    """A point in time, in UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)


def build(message: pb.Build) -> Build:
    """A build."""
    return Build(
        build_id=message.build_id,
        project_id=message.project_id,
        user_id=message.user_id,
        tier=message.tier,
        model=message.model,
        state=state(message.state),
        outcome_message=message.outcome_message,
        turns=message.turns,
        tool_calls=message.tool_calls,
        spent_microdollars=message.spent_microdollars,
        preview_port=message.preview_port,
        last_event_sequence=message.last_event_sequence,
        create_time=moment(message.create_time),
        end_time=moment(message.end_time) if message.HasField("end_time") else None,
        wake_time=moment(message.wake_time) if message.HasField("wake_time") else None,
        documentation=tuple(DocumentSection(part.section, part.content) for part in message.documentation),
        question=_question(message.question) if message.HasField("question") else None,
        origin_build_id=message.origin_build_id,
        origin_turn=message.origin_turn,
    )


def state(number: pb.Build.State.ValueType) -> BuildState:
    """A state; one that a newer installation has added is UNKNOWN."""
    try:
        return BuildState(pb.Build.State.Name(number))
    except ValueError:
        return BuildState.UNKNOWN


def _question(message: pb.Escalation) -> Question:
    return Question(message.question, message.tried, tuple(message.options), message.recommendation)


def allowance(message: budget_pb2.GetAllowanceResponse) -> Allowance:
    """What a user may spend today."""
    today = message.allowance
    return Allowance(
        limit_microdollars=today.limit_microdollars,
        spent_microdollars=today.spent_microdollars,
        reserved_microdollars=today.reserved_microdollars,
        refresh_time=moment(today.refresh_time) if today.HasField("refresh_time") else None,
        tier=message.tier,
    )


def words(message: pb.TextDelta) -> events.Words:
    """Some words of a running call."""
    return events.Words(message.turn, message.call_id, message.text)


def event(message: pb.Event) -> events.Event:
    """An event."""
    return events.Event(message.sequence, message.log_sequence, moment(message.time), _what(message))


def _outlook(told: pb.Event.Outlook) -> events.Outlook:
    return events.Outlook(
        told.call_microdollars,
        moment(told.sleep_time) if told.HasField("sleep_time") else None,
        told.finish_microdollars if told.HasField("finish_microdollars") else None,
        moment(told.finish_time) if told.HasField("finish_time") else None,
    )


def _outlooks(told: pb.Event.StateChanged | pb.Event.AllowanceLow) -> tuple[events.Outlook | None, ...]:
    """The likely one and the cautious one."""
    return (
        _outlook(told.p50) if told.HasField("p50") else None,
        _outlook(told.p90) if told.HasField("p90") else None,
    )


def _what(message: pb.Event) -> events.What:
    match message.WhichOneof("what"):
        case "state_changed":
            change = message.state_changed
            before, after = state(getattr(change, "from")), state(change.to)
            return events.StateChanged(before, after, change.reason, *_outlooks(change))
        case "turn_taken":
            return _turn_taken(message.turn_taken)
        case "tool_called":
            called = message.tool_called
            return events.ToolCalled(called.op_id, called.tool, called.summary)
        case "tool_answered":
            answered = message.tool_answered
            return events.ToolAnswered(answered.op_id, answered.tool, answered.failed, answered.text)
        case "narrated":
            return events.Narrated(message.narrated.message)
        case "documented":
            return events.Documented(message.documented.section)
        case "escalated":
            asked = message.escalated
            return events.Escalated(asked.question, asked.tried, tuple(asked.options), asked.recommendation)
        case "message_read":
            return events.MessageRead(message.message_read.inbox_id, message.message_read.text)
        case "forked":
            return events.Forked(message.forked.origin_build_id, message.forked.turn)
        case "allowance_low":
            low = message.allowance_low
            return events.AllowanceLow(low.limit_microdollars, moment(low.refresh_time), *_outlooks(low))
        case "ended":
            return _ended(message.ended)
        case _:
            return events.Unfamiliar()


def _turn_taken(turn: pb.Event.TurnTaken) -> events.TurnTaken:
    return events.TurnTaken(
        turn=turn.turn,
        text=turn.text,
        prompt_tokens=turn.prompt_tokens,
        cache_read_tokens=turn.cache_read_tokens,
        output_tokens=turn.output_tokens,
    )


def _ended(ended: pb.Event.Ended) -> events.Ended:
    return events.Ended(
        state=state(ended.state),
        message=ended.message,
        verification_command=ended.verification_command,
        verification_outcome=ended.verification_outcome,
        preview_port=ended.preview_port,
    )
