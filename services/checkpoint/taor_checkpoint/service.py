"""The gRPC face of the checkpoint service: messages in, messages out."""

from collections.abc import AsyncIterator

import grpc
from taor.checkpoint.v1 import checkpoint_pb2 as pb
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceServicer

from taor_chassis.identity import current_caller
from taor_chassis.validation import require_between, require_text, within
from taor_checkpoint import translate
from taor_checkpoint.deletion import Deletions
from taor_checkpoint.entries import SessionId
from taor_checkpoint.forks import Forks
from taor_checkpoint.history import History
from taor_checkpoint.inspection import Inspection
from taor_checkpoint.store.entries import Range

_SESSIONS, _MOST_SESSIONS = 100, 500
_ENTRIES, _MOST_ENTRIES = 20, 100
_BODY_BYTES, _MOST_BODY_BYTES = 4096, 65536


class CheckpointService(CheckpointServiceServicer):
    """Answers the calls of `taor.checkpoint.v1.CheckpointService`."""

    def __init__(self, history: History, forks: Forks, inspection: Inspection, deletions: Deletions) -> None:
        self._history = history
        self._forks = forks
        self._inspection = inspection
        self._deletions = deletions

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

    async def ForkSession(
        self, request: pb.ForkSessionRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.ForkSessionResponse:
        """Begin a new log with the beginning of another one."""
        head = await self._forks.make(translate.fork_of(current_caller().tenant_id, request))
        return pb.ForkSessionResponse(head=head)

    async def GetSession(
        self, request: pb.GetSessionRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetSessionResponse:
        """Tell the fence and the head."""
        return translate.wire_session_of(await self._history.session(_named_session(request.build_id)))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListSessionsResponse:
        """Tell what logs there are, and were."""
        size = require_between("page_size", request.page_size, 0, _MOST_SESSIONS) or _SESSIONS
        project_id = within("project_id", request.project_id, max_bytes=translate.MAX_ID_BYTES)
        before = within("page_token", request.page_token, max_bytes=translate.MAX_ID_BYTES)
        found = await self._inspection.sessions(current_caller().tenant_id, project_id, before, size + 1)
        page = found[:size]
        token = page[-1].session_id.build_id if len(found) > size else ""
        return pb.ListSessionsResponse(sessions=map(translate.wire_listed_session_of, page), next_page_token=token)

    async def InspectLog(
        self, request: pb.InspectLogRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.InspectLogResponse:
        """Show a part of a log, with its bodies only on request."""
        size = require_between("page_size", request.page_size, 0, _MOST_ENTRIES) or _ENTRIES
        max_bytes = require_between("max_body_bytes", request.max_body_bytes, 0, _MOST_BODY_BYTES) or _BODY_BYTES
        session = await self._history.session(_named_session(request.build_id))
        after = require_between("after_sequence", request.after_sequence, 0, session.head)
        if request.bodies:
            wanted = Range(after, min(after + size, session.head))
            shown = await self._inspection.bodies(session.session_id, wanted, max_bytes)
        else:
            shown = await self._inspection.entries(session.session_id, after, size)
        last = shown[-1].entry.place.sequence if shown else after
        entries = map(translate.wire_inspected_of, shown)
        return pb.InspectLogResponse(entries=entries, head=session.head, more=last < session.head)

    async def DeleteProject(
        self, request: pb.DeleteProjectRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> pb.DeleteProjectResponse:
        """Destroy the key of a project; its rows go in the background."""
        project_id = require_text("project_id", request.project_id, max_bytes=translate.MAX_ID_BYTES)
        deletion = await self._deletions.delete_project(current_caller().tenant_id, project_id)
        return translate.wire_deletion_of(deletion)


def _named_session(build_id: str) -> SessionId:
    return translate.session_id_of(current_caller().tenant_id, build_id)
