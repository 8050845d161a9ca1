"""Between the messages of the contract and the types inside."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from taor.checkpoint.v1 import checkpoint_pb2 as pb

from taor_chassis.validation import (
    FieldInvalid,
    FieldMissing,
    FieldTooLarge,
    require,
    require_between,
    require_bytes,
    require_text,
    within,
)
from taor_checkpoint.entries import (
    Claim,
    Deletion,
    Fork,
    Kind,
    LogEntry,
    ModelCall,
    NewEntry,
    Session,
    SessionId,
    Usage,
)
from taor_checkpoint.inspection import Inspected

MAX_ID_BYTES = 200
MAX_ENTRY_BYTES = 8 << 20
MAX_APPEND_BYTES = 12 << 20
MAX_ENTRIES = 64
MAX_INBOX_IDS = 256
_MAX_EPOCH = 2**53

_KINDS = {
    pb.LogEntry.HEAD: Kind.HEAD,
    pb.LogEntry.USER: Kind.USER,
    pb.LogEntry.ASSISTANT: Kind.ASSISTANT,
    pb.LogEntry.OUTCOME: Kind.OUTCOME,
}
_WIRE_KINDS = {kind: wire for wire, kind in _KINDS.items()}


def session_id_of(tenant_id: str, build_id: str) -> SessionId:
    """The log that a caller names."""
    return SessionId(tenant_id, require_text("build_id", build_id, max_bytes=MAX_ID_BYTES))


def claim_of(tenant_id: str, request: pb.AttachBuildRequest) -> Claim:
    """The claim that a caller makes."""
    return Claim(
        session_id_of(tenant_id, request.build_id),
        require_text("project_id", request.project_id, max_bytes=MAX_ID_BYTES),
        epoch_of(request.epoch),
        require_text("owner", request.owner, max_bytes=MAX_ID_BYTES),
    )


def fork_of(tenant_id: str, request: pb.ForkSessionRequest) -> Fork:
    """The fork that a caller asks for."""
    return Fork(
        session_id_of(tenant_id, request.build_id),
        require_text("origin_build_id", request.origin_build_id, max_bytes=MAX_ID_BYTES),
        require_text("project_id", request.project_id, max_bytes=MAX_ID_BYTES),
        require_between("head", request.head, 1, _MAX_EPOCH),
    )


def epoch_of(epoch: int) -> int:
    """An epoch as the orchestrator counts them, from 1."""
    return require_between("epoch", epoch, 1, _MAX_EPOCH)


def new_entries_of(request: pb.AppendEntriesRequest) -> list[NewEntry]:
    """The entries to append, each one whole and all of them in an order that a log can have."""
    require_between("head", request.head, 0, _MAX_EPOCH)
    require_between("entries", len(request.entries), 1, MAX_ENTRIES)
    rid_prefix = f"{request.build_id}/{request.epoch}/"
    entries = [_new_entry_of(f"entries[{n}]", entry, rid_prefix) for n, entry in enumerate(request.entries)]
    _check_order(request.head, entries)
    _check_size(entries)
    _check_inbox_ids(entries)
    return entries


def wire_entry_of(entry: LogEntry) -> pb.LogEntry:
    """An entry as it is sent."""
    place, content = entry.place, entry.content
    wire = pb.LogEntry(
        sequence=place.sequence,
        segment=place.segment,
        epoch=place.epoch,
        kind=_WIRE_KINDS[content.kind],
        body=content.body,
        body_sha256=content.body_sha256,
        inbox_ids=content.inbox_ids,
        call=None if content.call is None else _wire_call_of(content.call),
        origin_build_id=entry.origin_build_id,
    )
    wire.append_time.FromDatetime(place.append_time)
    return wire


def wire_session_of(session: Session) -> pb.GetSessionResponse:
    """A session as it is sent."""
    wire = pb.GetSessionResponse(
        build_id=session.session_id.build_id,
        project_id=session.project_id,
        epoch=session.epoch,
        head=session.head,
        body_bytes=session.body_bytes,
    )
    wire.create_time.FromDatetime(session.create_time)
    return wire


def wire_listed_session_of(session: Session) -> pb.Session:
    """A session as a list shows it."""
    return pb.Session(
        build_id=session.session_id.build_id,
        project_id=session.project_id,
        epoch=session.epoch,
        head=session.head,
        segments=session.segments,
        body_bytes=session.body_bytes,
        create_time=_wire_time_of(session.create_time),
        append_time=_wire_time_of(session.append_time),
        close_time=_wire_time_of(session.close_time),
        delete_time=_wire_time_of(session.delete_time),
        purge_time=_wire_time_of(session.purge_time),
    )


def wire_deletion_of(deletion: Deletion) -> pb.DeleteProjectResponse:
    """How far a deletion has come, as it is sent."""
    return pb.DeleteProjectResponse(
        delete_time=_wire_time_of(deletion.delete_time), purge_time=_wire_time_of(deletion.purge_time)
    )


def wire_inspected_of(inspected: Inspected) -> pb.InspectedEntry:
    """An entry as a person reads it; bytes that are no text are shown by their replacement character."""
    entry, body = inspected.entry, inspected.body
    return pb.InspectedEntry(
        sequence=entry.place.sequence,
        segment=entry.place.segment,
        epoch=entry.place.epoch,
        kind=_WIRE_KINDS[entry.kind],
        append_time=_wire_time_of(entry.place.append_time),
        body_bytes=entry.body_bytes,
        body_sha256=entry.body_sha256.hex(),
        inbox_ids=entry.inbox_ids,
        call=None if entry.call is None else _wire_inspected_call_of(entry.call),
        body=body.decode(errors="replace"),
        body_cut=inspected.cut,
        origin_build_id=entry.origin_build_id,
    )


def _new_entry_of(field: str, entry: pb.LogEntry, rid_prefix: str) -> NewEntry:
    if (kind := _KINDS.get(entry.kind)) is None:
        raise FieldMissing(f"{field}.kind", "say what the entry is")
    body = require_bytes(f"{field}.body", entry.body, max_bytes=MAX_ENTRY_BYTES)
    body_sha256 = hashlib.sha256(body).digest()
    if entry.body_sha256 not in (b"", body_sha256):
        raise FieldInvalid(f"{field}.body_sha256", "is not the SHA-256 of the body; send the bytes again")
    if entry.HasField("call") != (kind is Kind.ASSISTANT):
        raise FieldInvalid(f"{field}.call", "stands in every ASSISTANT entry, and in no other")
    call = _call_of(f"{field}.call", entry.call, rid_prefix) if entry.HasField("call") else None
    return NewEntry(kind, body, body_sha256, tuple(entry.inbox_ids), call)


def _check_order(head: int, entries: Sequence[NewEntry]) -> None:
    opens = entries[0].kind is Kind.HEAD
    require(head > 0 or opens, FieldInvalid("entries[0].kind", "a log opens with a HEAD"))
    for number, entry in enumerate(entries[:-1]):
        if entry.kind is Kind.OUTCOME:
            raise FieldInvalid(f"entries[{number}].kind", "nothing follows an OUTCOME")


def _check_size(entries: Sequence[NewEntry]) -> None:
    size = sum(len(entry.body) for entry in entries)
    if size > MAX_APPEND_BYTES:
        message = f"{size} bytes are more than the {MAX_APPEND_BYTES} of one append; send several"
        raise FieldTooLarge("entries", message, size_bytes=str(size), max_bytes=str(MAX_APPEND_BYTES))


def _check_inbox_ids(entries: Sequence[NewEntry]) -> None:
    ids = [inbox_id for entry in entries for inbox_id in entry.inbox_ids]
    require_between("entries.inbox_ids", len(ids), 0, MAX_INBOX_IDS)
    for inbox_id in ids:
        require_text("entries.inbox_ids", inbox_id, max_bytes=MAX_ID_BYTES)
    require(len(set(ids)) == len(ids), FieldInvalid("entries.inbox_ids", "an inbox id is named twice"))


def _call_of(field: str, call: pb.ModelCall, rid_prefix: str) -> ModelCall:
    rid = require_text(f"{field}.rid", call.rid, max_bytes=2 * MAX_ID_BYTES)
    require(rid.startswith(rid_prefix), FieldInvalid(f"{field}.rid", f"does not begin with {rid_prefix}"))
    if len(call.request_sha256) != hashlib.sha256().digest_size:
        raise FieldInvalid(f"{field}.request_sha256", "is not a SHA-256")
    require(call.HasField("start_time"), FieldMissing(f"{field}.start_time", "say when the request was sent"))
    return ModelCall(
        rid,
        call.request_sha256,
        require_text(f"{field}.model", call.model, max_bytes=MAX_ID_BYTES),
        call.max_output_tokens,
        _usage_of(call.usage) if call.HasField("usage") else None,
        within(f"{field}.stop_reason", call.stop_reason, max_bytes=MAX_ID_BYTES),
        within(f"{field}.price_id", call.price_id, max_bytes=MAX_ID_BYTES),
        call.start_time.ToDatetime(UTC),
    )


def _usage_of(usage: pb.Usage) -> Usage:
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
    )


def _wire_call_of(call: ModelCall) -> pb.ModelCall:
    start_time = Timestamp()
    start_time.FromDatetime(call.start_time)
    return pb.ModelCall(
        rid=call.rid,
        request_sha256=call.request_sha256,
        model=call.model,
        max_output_tokens=call.max_output_tokens,
        usage=None if call.usage is None else _wire_usage_of(call.usage),
        stop_reason=call.stop_reason,
        price_id=call.price_id,
        start_time=start_time,
    )


def _wire_inspected_call_of(call: ModelCall) -> pb.InspectedCall:
    return pb.InspectedCall(
        rid=call.rid,
        model=call.model,
        stop_reason=call.stop_reason,
        usage=None if call.usage is None else _wire_usage_of(call.usage),
        max_output_tokens=call.max_output_tokens,
        request_sha256=call.request_sha256.hex(),
        price_id=call.price_id,
        start_time=_wire_time_of(call.start_time),
    )


def _wire_time_of(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    wire = Timestamp()
    wire.FromDatetime(time)
    return wire


def _wire_usage_of(usage: Usage) -> pb.Usage:
    return pb.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
