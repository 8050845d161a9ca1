"""The RPCs of the sandbox service: messages in, messages out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceServicer

from taor_chassis.clock import Clock
from taor_chassis.identity import current_caller
from taor_chassis.telemetry import bind
from taor_chassis.validation import require_between, require_text
from taor_sandbox import translate
from taor_sandbox.backends.port import OutputChunk, Stream
from taor_sandbox.claims import Claims
from taor_sandbox.comparison import Comparison
from taor_sandbox.deletion import Deletion
from taor_sandbox.download import Download
from taor_sandbox.draining import until
from taor_sandbox.errors import PreviewUnavailable
from taor_sandbox.forks import Forks
from taor_sandbox.generations import Generations
from taor_sandbox.operations import Dispatcher, Finished
from taor_sandbox.preview import PreviewServer
from taor_sandbox.records import BuildKey, Fence
from taor_sandbox.redaction import StreamRedactor
from taor_sandbox.release import Release
from taor_sandbox.snapshots import SnapshotTaker
from taor_sandbox.store.operations import Operations
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tokens import Preview

_MAX_ID_BYTES = 200
_PAGE_SIZE, _MAX_PAGE_SIZE = 500, 1_000
_MOST_SNAPSHOTS = 100
_MOST_SHOWN_BYTES = 1024 * 1024
_PREVIEW_LIFE = timedelta(hours=24)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Rooms:
    """The parts that the RPCs speak to."""

    claims: Claims
    generations: Generations
    dispatcher: Dispatcher
    operations: Operations
    taker: SnapshotTaker
    snapshots: Snapshots
    release: Release
    download: Download
    preview: PreviewServer
    forks: Forks
    comparison: Comparison
    deletion: Deletion
    backend_name: str


class SandboxService(SandboxServiceServicer):
    """Translates between the contract and the rooms of this service."""

    def __init__(self, rooms: Rooms, clock: Clock, stopping: asyncio.Event) -> None:
        self._rooms = rooms
        self._clock = clock
        self._stopping = stopping

    async def AttachBuild(self, request: pb.AttachBuildRequest, context: Context) -> pb.AttachBuildResponse:
        """Fence the build, see to its sandbox, tell its operations."""
        key = _key(request.build_id)
        epoch = require_between("epoch", request.epoch, 1, 2**53)
        fence = Fence(epoch, require_between("attach_number", request.attach_number, 1, 2**53))
        owner = require_text("owner", request.owner, max_bytes=_MAX_ID_BYTES)
        project_id = require_text("project_id", request.project_id, max_bytes=_MAX_ID_BYTES)
        require_between("tail_sequence", request.tail_sequence, 0, 2**53)
        build = await self._rooms.generations.attach(key, project_id, fence, owner)
        told = await self._rooms.operations.told(key, request.tail_sequence)
        return pb.AttachBuildResponse(generation=build.generation, operations=map(translate.operation, told))

    async def Dispatch(self, request: pb.DispatchRequest, context: Context) -> AsyncIterator[pb.DispatchResponse]:
        """Run one tool call, or follow it, or repeat its result."""
        call = translate.call(current_caller().tenant_id, request)
        bind(build_id=call.key.build_id)
        redactors, room = {stream: StreamRedactor() for stream in Stream}, _MOST_SHOWN_BYTES
        async for event in until(self._stopping, self._rooms.dispatcher.dispatch(call)):
            match event:
                case Finished(outcome, replayed):
                    yield pb.DispatchResponse(result=translate.result(outcome, replayed=replayed))
                case OutputChunk(stream, _, data):
                    if room > 0 and (shown := redactors[stream].feed(data)):
                        room -= len(shown)
                        yield pb.DispatchResponse(output=shown)

    async def CancelOperation(self, request: pb.CancelOperationRequest, context: Context) -> pb.CancelOperationResponse:
        """Kill one running operation."""
        key, claim = _key(request.build_id), translate.claim(request.epoch, request.generation)
        op_id = require_text("op_id", request.op_id, max_bytes=_MAX_ID_BYTES)
        row = await self._rooms.dispatcher.cancel(key, *claim, op_id)
        return pb.CancelOperationResponse(operation=translate.operation(row))

    async def TakeSnapshot(self, request: pb.TakeSnapshotRequest, context: Context) -> pb.TakeSnapshotResponse:
        """Save the files as they stand."""
        key, claim = _key(request.build_id), translate.claim(request.epoch, request.generation)
        return pb.TakeSnapshotResponse(snapshot=translate.snapshot(await self._rooms.taker.take(key, *claim)))

    async def ReleaseSandbox(self, request: pb.ReleaseSandboxRequest, context: Context) -> pb.ReleaseSandboxResponse:
        """End the use of the sandbox."""
        key, claim = _key(request.build_id), translate.claim(request.epoch, request.generation)
        newest = await self._rooms.release.release(key, *claim, translate.fate(request.fate))
        return pb.ReleaseSandboxResponse(snapshot=translate.snapshot(newest) if newest else None)

    async def DownloadFiles(
        self, request: pb.DownloadFilesRequest, context: Context
    ) -> AsyncIterator[pb.DownloadFilesResponse]:
        """Stream the files."""
        archive = self._rooms.download.files(_key(request.build_id), translate.form(request.format))
        async for piece in until(self._stopping, archive):
            yield pb.DownloadFilesResponse(content=piece)

    async def CreatePreview(self, request: pb.CreatePreviewRequest, context: Context) -> pb.CreatePreviewResponse:
        """Sign an address."""
        key, port = _key(request.build_id), require_between("port", request.port, 1, 65535)
        if not (await self._rooms.claims.build(key)).runs:
            raise PreviewUnavailable()
        expires_at = self._clock.now() + _PREVIEW_LIFE
        url = self._rooms.preview.url(key.tenant_id, Preview(key.build_id, port, int(expires_at.timestamp())))
        return pb.CreatePreviewResponse(url=url, expire_time=translate.timestamp(expires_at))

    async def ListSnapshots(self, request: pb.ListSnapshotsRequest, context: Context) -> pb.ListSnapshotsResponse:
        """The published snapshots."""
        key = _key(request.build_id)
        listed = await self._rooms.snapshots.list(key, _MOST_SNAPSHOTS)
        after = await self._rooms.snapshots.next_sequences(key, listed)
        return pb.ListSnapshotsResponse(
            snapshots=[translate.snapshot(each, after.get(each.snapshot_id, 0)) for each in listed],
            first_log_sequence=await self._rooms.snapshots.first_sequence(key),
        )

    async def PinSnapshot(self, request: pb.PinSnapshotRequest, context: Context) -> pb.PinSnapshotResponse:
        """Give a new build the files of another one."""
        key = _key(request.build_id)
        project_id = require_text("project_id", request.project_id, max_bytes=_MAX_ID_BYTES)
        origin = translate.moment(key.tenant_id, request.origin_build_id, request.log_sequence)
        pinned = await self._rooms.forks.pin(key, project_id, origin, redo=request.redo)
        return pb.PinSnapshotResponse(snapshot=translate.snapshot(pinned) if pinned else None)

    async def DiffSnapshots(self, request: pb.DiffSnapshotsRequest, context: Context) -> pb.DiffSnapshotsResponse:
        """In which files two moments differ."""
        tenant_id = current_caller().tenant_id
        before, after = (
            translate.moment(tenant_id, each.build_id, each.log_sequence) for each in (request.before, request.after)
        )
        return translate.difference(await self._rooms.comparison.compare(before, after))

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: Context) -> pb.DeleteProjectResponse:
        """Delete a part of a project."""
        project_id = require_text("project_id", request.project_id, max_bytes=_MAX_ID_BYTES)
        complete = await self._rooms.deletion.delete_some(current_caller().tenant_id, project_id)
        return pb.DeleteProjectResponse(complete=complete)

    async def GetSandbox(self, request: pb.GetSandboxRequest, context: Context) -> pb.GetSandboxResponse:
        """Where the sandbox of a build stands."""
        build = await self._rooms.claims.build(_key(request.build_id))
        return pb.GetSandboxResponse(
            state=translate.state(build.state),
            generation=build.generation,
            epoch=build.fence.epoch,
            backend=self._rooms.backend_name,
            failed_snapshots=await self._rooms.snapshots.failed(build.key),
        )

    async def ListOperations(self, request: pb.ListOperationsRequest, context: Context) -> pb.ListOperationsResponse:
        """One page of the journal."""
        size = require_between("page_size", request.page_size, 0, _MAX_PAGE_SIZE) or _PAGE_SIZE
        after = translate.page_position(request.page_token)
        rows = await self._rooms.operations.page(_key(request.build_id), after, size)
        token = translate.page_token(rows[-1].position) if len(rows) == size else ""
        return pb.ListOperationsResponse(operations=map(translate.operation, rows), next_page_token=token)


def _key(build_id: str) -> BuildKey:
    """The build of a request, of the caller's tenant; from here on log lines name it."""
    key = translate.build_key(current_caller().tenant_id, build_id)
    bind(build_id=key.build_id)
    return key
