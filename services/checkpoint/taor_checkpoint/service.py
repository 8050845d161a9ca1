"""The gRPC face of the checkpoint service: messages in, messages out."""

from collections.abc import AsyncIterator

import grpc
from taor.checkpoint.v1 import checkpoint_pb2 as pb
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceServicer

from taor_chassis.identity import current_caller
from taor_chassis.validation import require_between
from taor_checkpoint import translate
from taor_checkpoint.entries import SessionId
from taor_checkpoint.history import History
from taor_checkpoint.store.entries import Range


class CheckpointService(CheckpointServiceServicer):
    """Answers the calls of `taor.checkpoint.v1.CheckpointService`."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def AttachBuild(
        self, request: pb.AttachBuildRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[pb.AttachBuildResponse]:
        """Raise the fence, then send the log."""
        claim = translate.claim_of(current_caller().tenant_id, request)
        head = await self._history.attach(claim)
        if head == 0:
            yield pb.AttachBuildResponse(complete=True)
        async for chunk in self._history.read(claim.session_id, Range(0, head)):
            complete = chunk[-1].place.sequence == head
            yield pb.AttachBuildResponse(entries=map(translate.wire_entry_of, chunk), head=head, complete=complete)

    async def AppendEntries(
        self, request: pb.AppendEntriesRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.AppendEntriesResponse:
        """Append entries after the head that the caller knows."""
        session_id = _named_session(request.build_id)
        epoch = translate.epoch_of(request.epoch)
        entries = translate.new_entries_of(request)
        head = await self._history.append(session_id, epoch, request.head, entries)
        return pb.AppendEntriesResponse(head=head)

    async def ReadLog(
        self, request: pb.ReadLogRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[pb.ReadLogResponse]:
        """Send what the log holds now."""
        session_id = _named_session(request.build_id)
        session = await self._history.session(session_id)
        after = require_between("after_sequence", request.after_sequence, 0, session.head)
        async for chunk in self._history.read(session_id, Range(after, session.head)):
            yield pb.ReadLogResponse(entries=map(translate.wire_entry_of, chunk))

    async def GetSession(
        self, request: pb.GetSessionRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetSessionResponse:
        """Tell the fence and the head."""
        return translate.wire_session_of(await self._history.session(_named_session(request.build_id)))


def _named_session(build_id: str) -> SessionId:
    return translate.session_id_of(current_caller().tenant_id, build_id)
