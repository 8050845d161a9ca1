"""The deletion of a project at the services that keep its history and its files."""

from __future__ import annotations

import grpc
from taor.checkpoint.v1 import checkpoint_pb2, checkpoint_pb2_grpc
from taor.sandbox.v1 import sandbox_pb2, sandbox_pb2_grpc

CALL_SECONDS = 60.0


class DeletionClient:
    """Implements the `Elsewhere` port of `taor_orchestrator.deletion`."""

    def __init__(self, checkpoint: grpc.aio.Channel, sandbox: grpc.aio.Channel) -> None:
        self._checkpoint: checkpoint_pb2_grpc.CheckpointServiceAsyncStub = checkpoint_pb2_grpc.CheckpointServiceStub(
            checkpoint
        )
        self._sandbox: sandbox_pb2_grpc.SandboxServiceAsyncStub = sandbox_pb2_grpc.SandboxServiceStub(sandbox)

    async def delete_history(self, project_id: str) -> bool:
        """Destroy the project's key; whether the rows have gone too."""
        request = checkpoint_pb2.DeleteProjectRequest(project_id=project_id)
        response = await self._checkpoint.DeleteProject(request, timeout=CALL_SECONDS)
        return response.HasField("purge_time")

    async def delete_files(self, project_id: str) -> bool:
        """Delete some of the project's sandboxes, snapshots and operations; whether nothing is left."""
        request = sandbox_pb2.DeleteProjectRequest(project_id=project_id)
        response = await self._sandbox.DeleteProject(request, timeout=CALL_SECONDS)
        return response.complete
