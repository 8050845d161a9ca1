"""The history of builds, at the checkpoint service."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import grpc
from taor.checkpoint.v1 import checkpoint_pb2 as pb
from taor.checkpoint.v1 import checkpoint_pb2_grpc

from taor_orchestrator.build import Claim
from taor_orchestrator.clients.patience import patiently
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.model.port import Usage
from taor_orchestrator.ports import Checkpoint

ATTACH_SECONDS = 60.0


class CheckpointClient(Checkpoint):
    """Implements the `Checkpoint` port."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: checkpoint_pb2_grpc.CheckpointServiceAsyncStub = checkpoint_pb2_grpc.CheckpointServiceStub(channel)

    async def attach(self, claim: Claim) -> History:
        """Raise the fence to the claim's epoch and read the log under it."""
        request = pb.AttachBuildRequest(
            build_id=claim.build_id, epoch=claim.epoch, owner=claim.owner, project_id=claim.project_id
        )

        async def read() -> History:
            entries: list[Entry] = []
            async for chunk in self._stub.AttachBuild(request, timeout=ATTACH_SECONDS):
                entries += map(entry_of, chunk.entries)
            return History().grow(*entries)

        return await patiently(read)

    async def append(self, claim: Claim, head: int, entries: Sequence[Entry]) -> None:
        """Append `entries` after `head`; the same again is no error."""
        request = pb.AppendEntriesRequest(
            build_id=claim.build_id, epoch=claim.epoch, head=head, entries=map(_message, entries)
        )
        await patiently(lambda: self._stub.AppendEntries(request))


def _message(entry: Entry) -> pb.LogEntry:
    message = pb.LogEntry(
        segment=entry.segment,
        kind=pb.LogEntry.Kind.Value(entry.kind.value),
        body=entry.body,
        inbox_ids=entry.inbox_ids,
    )
    if entry.call is not None:
        message.call.CopyFrom(_call_message(entry.call))
    return message


def _call_message(call: ModelCall) -> pb.ModelCall:
    message = pb.ModelCall(
        rid=call.rid,
        request_sha256=call.request_sha256,
        model=call.model,
        max_output_tokens=call.max_output_tokens,
        stop_reason=call.stop_reason,
        price_id=call.price_id,
    )
    message.start_time.FromDatetime(call.start_time)
    if (usage := call.usage) is not None:
        message.usage.CopyFrom(
            pb.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_5m_tokens=usage.cache_write_5m_tokens,
                cache_write_1h_tokens=usage.cache_write_1h_tokens,
            )
        )
    return message


def entry_of(message: pb.LogEntry) -> Entry:
    """An entry as the loop reads it."""
    return Entry(
        sequence=message.sequence,
        segment=message.segment,
        epoch=message.epoch,
        kind=EntryKind(pb.LogEntry.Kind.Name(message.kind)),
        body=message.body,
        inbox_ids=tuple(message.inbox_ids),
        call=_call(message.call) if message.HasField("call") else None,
        append_time=message.append_time.ToDatetime(datetime.UTC),
        origin_build_id=message.origin_build_id,
    )


def _call(message: pb.ModelCall) -> ModelCall:
    return ModelCall(
        rid=message.rid,
        request_sha256=message.request_sha256,
        model=message.model,
        max_output_tokens=message.max_output_tokens,
        usage=_usage(message.usage) if message.HasField("usage") else None,
        stop_reason=message.stop_reason,
        price_id=message.price_id,
        start_time=message.start_time.ToDatetime(datetime.UTC),
    )


def _usage(message: pb.Usage) -> Usage:
    return Usage(
        input_tokens=message.input_tokens,
        output_tokens=message.output_tokens,
        cache_read_tokens=message.cache_read_tokens,
        cache_write_5m_tokens=message.cache_write_5m_tokens,
        cache_write_1h_tokens=message.cache_write_1h_tokens,
        service_tier="",
    )
