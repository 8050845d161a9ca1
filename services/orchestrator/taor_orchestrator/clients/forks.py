"""What a fork inherits, at the services that keep it: its log and its files."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from taor.checkpoint.v1 import checkpoint_pb2, checkpoint_pb2_grpc
from taor.sandbox.v1 import sandbox_pb2, sandbox_pb2_grpc

from taor_chassis.boundary import error_info
from taor_orchestrator.clients.checkpoint import entry_of
from taor_orchestrator.errors import ForkFailed
from taor_orchestrator.history import Entry, History
from taor_orchestrator.store.forks import Forking
from taor_orchestrator.turns import ChangeKind, Difference, FileChange, Kept, Shelf

READ_SECONDS = 60.0
DIFF_SECONDS = 60.0
_GONE = ("SESSION_NOT_FOUND", "PROJECT_DELETED", "LOG_EXPIRED", "ENTRY_CORRUPT")
_FOR_GOOD = (*_GONE, "NO_SNAPSHOT", "PROJECT_MISMATCH", "FORK_CONFLICT", "FORK_POINT_INVALID")


@dataclass(frozen=True, slots=True)
class Moment:
    """A build's files as they stood after the answer in an entry of its log."""

    build_id: str
    log_sequence: int


class InheritanceClient:
    """Reads logs and lists snapshots of builds that nobody need hold, and gives them to new ones."""

    def __init__(self, checkpoint: grpc.aio.Channel, sandbox: grpc.aio.Channel) -> None:
        self._checkpoint: checkpoint_pb2_grpc.CheckpointServiceAsyncStub
        self._checkpoint = checkpoint_pb2_grpc.CheckpointServiceStub(checkpoint)
        self._sandbox: sandbox_pb2_grpc.SandboxServiceAsyncStub = sandbox_pb2_grpc.SandboxServiceStub(sandbox)

    async def history(self, build_id: str) -> History:
        """The log of a build as it stands; empty where there is none, or none any more."""
        entries: list[Entry] = []
        request = checkpoint_pb2.ReadLogRequest(build_id=build_id)
        try:
            async for chunk in self._checkpoint.ReadLog(request, timeout=READ_SECONDS):
                entries += map(entry_of, chunk.entries)
        except grpc.aio.AioRpcError as error:
            if _reason(error) not in _GONE:
                raise
            return History()
        return History().grow(*entries)

    async def shelf(self, build_id: str) -> Shelf:
        """The snapshots of a build."""
        listed = await self._sandbox.ListSnapshots(sandbox_pb2.ListSnapshotsRequest(build_id=build_id))
        kept = (Kept(each.covers_log_sequence, each.next_log_sequence) for each in listed.snapshots)
        return Shelf(tuple(kept), listed.first_log_sequence)

    async def pin(self, fork: Forking) -> None:
        """Give the fork its files; raises `ForkFailed` where they are gone for good."""
        request = sandbox_pb2.PinSnapshotRequest(
            build_id=fork.build_id,
            origin_build_id=fork.point.origin_build_id,
            project_id=fork.project_id,
            log_sequence=fork.point.answer_sequence,
            redo=fork.point.redo,
        )
        try:
            await self._sandbox.PinSnapshot(request)
        except grpc.aio.AioRpcError as error:
            raise _meaning(error) from error

    async def copy(self, fork: Forking) -> None:
        """Give the fork its log; raises `ForkFailed` where it is gone for good."""
        request = checkpoint_pb2.ForkSessionRequest(
            build_id=fork.build_id,
            origin_build_id=fork.point.origin_build_id,
            project_id=fork.project_id,
            head=fork.point.head,
        )
        try:
            await self._checkpoint.ForkSession(request)
        except grpc.aio.AioRpcError as error:
            raise _meaning(error) from error

    async def difference(self, before: Moment, after: Moment) -> Difference:
        """In which files two moments differ."""
        first, second = (
            sandbox_pb2.Moment(build_id=each.build_id, log_sequence=each.log_sequence) for each in (before, after)
        )
        request = sandbox_pb2.DiffSnapshotsRequest(before=first, after=second)
        found = await self._sandbox.DiffSnapshots(request, timeout=DIFF_SECONDS)
        return Difference(tuple(map(_change, found.changes)), found.left_out)


def _change(message: sandbox_pb2.FileChange) -> FileChange:
    return FileChange(
        path=message.path,
        kind=ChangeKind(sandbox_pb2.FileChange.Kind.Name(message.kind)),
        before_bytes=message.before_bytes,
        after_bytes=message.after_bytes,
        text_diff=message.text_diff,
        text_diff_cut=message.text_diff_cut,
    )


def _reason(error: grpc.aio.AioRpcError) -> str:
    info = error_info(error)
    return info.reason if info else ""


def _meaning(error: grpc.aio.AioRpcError) -> Exception:
    return ForkFailed(error.details() or _reason(error)) if _reason(error) in _FOR_GOOD else error
