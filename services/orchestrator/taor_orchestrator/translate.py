"""Between the wire contract and what the orchestrator works with."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from collections.abc import Sequence

import orjson
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_chassis.validation import FieldInvalid, require, require_between, require_text, within
from taor_orchestrator.build import Assignment, Clarification
from taor_orchestrator.errors import BriefTooLarge, PageTokenInvalid
from taor_orchestrator.forks import Order
from taor_orchestrator.lineage import KnownTurn, NamedTurn
from taor_orchestrator.livetext import Piece
from taor_orchestrator.store.builds import LAST_ID, Request, StoredBuild, StoredItem
from taor_orchestrator.store.events import StoredEvent
from taor_orchestrator.store.projects import Deletion, ProjectId
from taor_orchestrator.turns import Difference

MAX_ID_BYTES = 128
MAX_ASSIGNMENT_BYTES = 1024 * 1024
MAX_CLARIFICATIONS = 200
MAX_TEXT_BYTES = 16 * 1024
MAX_TURN = 1_000_000
DEFAULT_PAGE_ROWS = 50
MAX_PAGE_ROWS = 200


def build_id_of(text: str) -> str:
    """A build id as it was given out; raises `FieldInvalid` for anything else."""
    try:
        return str(uuid.UUID(require_text("build_id", text, max_bytes=MAX_ID_BYTES)))
    except ValueError:
        raise FieldInvalid("build_id", "build_id must be an id that StartBuild has given out") from None


def request_of(method: str, request_id: str, *content: object) -> Request:
    """A mutation under its caller's id, hashed over our own canonical JSON: protobuf has no canonical form."""
    request_id = require_text("request_id", request_id, max_bytes=MAX_ID_BYTES)
    return Request(method, request_id, hashlib.sha256(orjson.dumps(content)).digest())


def start_of(message: pb.StartBuildRequest) -> tuple[Request, Assignment]:
    """The request and the assignment of a StartBuild, checked."""
    for field in ("user_id", "project_id", "tier"):
        _require_name(field, getattr(message, field))
    within("model", message.model, max_bytes=MAX_ID_BYTES)
    require_text("brief", message.brief, max_bytes=4 * MAX_ASSIGNMENT_BYTES)
    assignment = _assignment(message)
    names = (message.user_id, message.project_id, message.tier, message.model)
    answers = [[each.question, each.answer] for each in assignment.clarifications]
    request = request_of("StartBuild", message.request_id, *names, message.brief, answers, message.plan)
    return request, assignment


def text_of(text: str) -> str:
    """What a person tells a build, checked."""
    if "\0" in require_text("text", text, max_bytes=MAX_TEXT_BYTES):
        raise FieldInvalid("text", "text must not contain NUL characters")
    return text


def project_of(tenant_id: str, message: pb.DeleteProjectRequest) -> tuple[ProjectId, str]:
    """The project to delete, and the caller's id of the request."""
    _require_name("project_id", message.project_id)
    request_id = require_text("request_id", message.request_id, max_bytes=MAX_ID_BYTES)
    return ProjectId(tenant_id, message.project_id), request_id


def wire_deletion(deletion: Deletion) -> pb.DeleteProjectResponse:
    """How far a deletion has come, as it is sent."""
    return pb.DeleteProjectResponse(
        delete_time=_timestamp(deletion.delete_time), purge_time=_timestamp(deletion.purge_time)
    )


def page_of(message: pb.ListBuildsRequest) -> tuple[uuid.UUID, int]:
    """Where a page of builds starts, and how many it has."""
    if message.page_size < 0:
        raise FieldInvalid("page_size", "page_size must be 0 or more")
    limit = min(message.page_size or DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS)
    if not message.page_token:
        return LAST_ID, limit
    try:
        return uuid.UUID(message.page_token), limit
    except ValueError:
        raise PageTokenInvalid("page_token must be a next_page_token of this method, or empty") from None


def wire_build(build: StoredBuild, documents: Sequence[tuple[str, str]] = (), question: str | None = None) -> pb.Build:
    """A build as its clients see it."""
    return pb.Build(
        build_id=build.build_id,
        project_id=build.project_id,
        user_id=build.user_id,
        tier=build.tier,
        model=build.model,
        state=pb.Build.State.Value(build.state.value),
        outcome_message=build.outcome_message,
        turns=build.turns,
        tool_calls=build.tool_calls,
        spent_microdollars=build.spent_microdollars,
        preview_port=build.preview_port,
        last_event_sequence=build.event_sequence,
        create_time=_timestamp(build.created_at),
        end_time=_timestamp(build.ended_at),
        wake_time=_timestamp(build.wake_at),
        documentation=[pb.DocumentSection(section=section, content=content) for section, content in documents],
        question=None if question is None else wire_question(question),
        origin_build_id=build.origin_build_id or "",
        origin_turn=build.origin_turn,
    )


def wire_piece(piece: Piece) -> pb.TextDelta:
    """Some words of a running call, as they are sent."""
    return pb.TextDelta(turn=piece.call.turn, call_id=piece.call.rid, text=piece.text)


def wire_event(stored: StoredEvent) -> pb.Event:
    """An event as its watchers see it; the payload's fields are those of the contract."""
    fields = orjson.loads(stored.payload)
    kind = fields.pop("kind")
    event = pb.Event(sequence=stored.sequence, log_sequence=stored.log_sequence, time=_timestamp(stored.created_at))
    what = getattr(event, kind)
    what.SetInParent()
    for name, value in fields.items():
        if name in _LIST_FIELDS:
            getattr(what, name).extend(value)
        elif name in _OUTLOOK_FIELDS:
            json_format.ParseDict(value, getattr(what, name))
        elif name in _TIME_FIELDS:
            getattr(what, name).FromJsonString(value)
        else:
            setattr(what, name, pb.Build.State.Value(value) if name in _STATE_FIELDS else value)
    return event


def wire_question(payload: str) -> pb.Escalation:
    """The question that an event tells."""
    fields = orjson.loads(payload)
    fields.pop("kind")
    return pb.Escalation(**fields)


def is_terminal(event: pb.Event) -> bool:
    """Whether nothing follows this event."""
    return event.HasField("ended")


def fork_of(message: pb.ForkBuildRequest) -> tuple[Request, Order]:
    """The request and the order of a ForkBuild, checked."""
    build_id = build_id_of(message.build_id)
    at_turn = require_between("at_turn", message.at_turn, 1, MAX_TURN)
    for field in ("model", "tier"):
        within(field, getattr(message, field), max_bytes=MAX_ID_BYTES)
    if "\0" in within("instruction", message.instruction, max_bytes=MAX_TEXT_BYTES):
        raise FieldInvalid("instruction", "instruction must not contain NUL characters")
    content = (build_id, at_turn, message.model, message.tier, message.instruction, message.redo)
    return request_of("ForkBuild", message.request_id, *content), Order(*content)


def turns_of(message: pb.DiffTurnsRequest) -> tuple[NamedTurn, NamedTurn]:
    """The two turns of a DiffTurns, checked."""
    build_id = build_id_of(message.build_id)
    to_build_id = build_id_of(message.to_build_id) if message.to_build_id else build_id
    from_turn = require_between("from_turn", message.from_turn, 1, MAX_TURN)
    to_turn = require_between("to_turn", message.to_turn, 1, MAX_TURN)
    return NamedTurn(build_id, from_turn), NamedTurn(to_build_id, to_turn)


def wire_turn(build_id: str, known: KnownTurn) -> pb.Turn:
    """A turn of a build; an inherited one names the build that took it."""
    turn, origin = known.turn, known.turn.answer.origin_build_id
    return pb.Turn(
        turn=turn.number,
        log_sequence=turn.log_sequence,
        summary=turn.summary,
        tool_calls=turn.tool_calls,
        append_time=_timestamp(turn.answer.append_time),
        origin_build_id="" if origin == build_id else origin,
        kept=known.is_kept,
    )


def wire_difference(found: Difference) -> pb.DiffTurnsResponse:
    """In which files two turns differ."""
    changes = (
        pb.FileChange(
            path=each.path,
            kind=pb.FileChange.Kind.Value(each.kind.value),
            before_bytes=each.before_bytes,
            after_bytes=each.after_bytes,
            text_diff=each.text_diff,
            text_diff_cut=each.text_diff_cut,
        )
        for each in found.changes
    )
    return pb.DiffTurnsResponse(changes=changes, left_out=found.left_out)


def wire_inspection(build: StoredBuild, inbox: Sequence[StoredItem]) -> pb.InspectBuildResponse:
    """A build's inner state."""
    state = pb.Build.State.Value(build.state.value)
    return pb.InspectBuildResponse(
        state=state,
        epoch=build.epoch,
        wake_generation=build.wake_generation,
        projected_sequence=build.projected_sequence,
        ticketed=state == pb.Build.QUEUED,
        inbox=map(_wire_item, inbox),
    )


_STATE_FIELDS = ("from", "to", "state")
_LIST_FIELDS = ("options",)
_OUTLOOK_FIELDS = ("p50", "p90")
_TIME_FIELDS = ("refresh_time",)


def _wire_item(item: StoredItem) -> pb.InboxItem:
    return pb.InboxItem(
        inbox_id=item.inbox_id,
        kind=pb.InboxItem.Kind.Value(item.kind),
        log_sequence=item.log_sequence,
        create_time=_timestamp(item.created_at),
    )


def _require_name(field: str, value: str) -> None:
    require_text(field, value, max_bytes=MAX_ID_BYTES)
    if not value.isprintable():
        raise FieldInvalid(field, f"{field} must be printable text")


def _assignment(message: pb.StartBuildRequest) -> Assignment:
    if len(message.clarifications) > MAX_CLARIFICATIONS:
        raise FieldInvalid("clarifications", f"at most {MAX_CLARIFICATIONS} clarifications are taken")
    answers = tuple(Clarification(each.question, each.answer) for each in message.clarifications)
    texts = (message.brief, message.plan, *(text for each in answers for text in (each.question, each.answer)))
    size_bytes = sum(len(text.encode()) for text in texts)
    require(
        size_bytes <= MAX_ASSIGNMENT_BYTES,
        BriefTooLarge(
            f"brief, clarifications and plan have {size_bytes:,} bytes; shorten them to {MAX_ASSIGNMENT_BYTES:,}",
            size_bytes=str(size_bytes),
            limit_bytes=str(MAX_ASSIGNMENT_BYTES),
        ),
    )
    if any("\0" in text for text in texts):
        raise FieldInvalid("brief", "brief, clarifications and plan must not contain NUL characters")
    return Assignment(message.brief, answers, message.plan)


def _timestamp(moment: datetime.datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
