"""The RPCs of the sandbox service: messages in, messages out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceServicer

from taor_chassis.identity import current_caller
from taor_chassis.telemetry import bind
from taor_chassis.validation import require_between, require_text
from taor_sandbox import translate
from taor_sandbox.draining import until
from taor_sandbox.errors import SandboxNotFound
from taor_sandbox.generations import Generations
from taor_sandbox.operations import Dispatcher, Finished
from taor_sandbox.records import BuildKey, Fence
from taor_sandbox.redaction import StreamRedactor
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.operations import Operations

_MAX_ID_BYTES = 200
_PAGE_SIZE, _MAX_PAGE_SIZE = 500, 1_000

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class SandboxService(SandboxServiceServicer):
    """Translates between the contract and the rooms of this service."""

    def __init__(
        self, builds: Builds, operations: Operations, generations: Generations, dispatcher: Dispatcher,
        *, backend_name: str, stopping: asyncio.Event,
    ) -> None:  # fmt: skip
        self._builds, self._operations = builds, operations
        self._generations, self._dispatcher = generations, dispatcher
        self._backend_name = backend_name
        self._stopping = stopping

    async def AttachBuild(self, request: pb.AttachBuildRequest, context: Context) -> pb.AttachBuildResponse:
        """Fence the build, see to its sandbox, tell its operations."""
        key = _key(request.build_id)
        epoch = require_between("epoch", request.epoch, 1, 2**53)
        fence = Fence(epoch, require_between("attach_number", request.attach_number, 1, 2**53))
        owner = require_text("owner", request.owner, max_bytes=_MAX_ID_BYTES)
        project_id = require_text("project_id", request.project_id, max_bytes=_MAX_ID_BYTES)
        require_between("tail_sequence", request.tail_sequence, 0, 2**53)
        build = await self._generations.attach(key, project_id, fence, owner)
        told = await self._operations.told(key, request.tail_sequence)
        return pb.AttachBuildResponse(generation=build.generation, operations=map(translate.operation, told))

    async def Dispatch(self, request: pb.DispatchRequest, context: Context) -> AsyncIterator[pb.DispatchResponse]:
        """Run one tool call, or follow it, or repeat its result."""
        call = translate.call(current_caller().tenant_id, request)
        bind(build_id=call.key.build_id)
        redactor = StreamRedactor()
        async for event in until(self._stopping, self._dispatcher.dispatch(call)):
            match event:
                case Finished(outcome, replayed):
                    yield pb.DispatchResponse(result=translate.result(outcome, replayed=replayed))
                case output:
                    if shown := redactor.feed(output):
                        yield pb.DispatchResponse(output=shown)

    async def CancelOperation(self, request: pb.CancelOperationRequest, context: Context) -> pb.CancelOperationResponse:
        """Kill one running operation."""
        key, claim = _key(request.build_id), translate.claim(request.epoch, request.generation)
        op_id = require_text("op_id", request.op_id, max_bytes=_MAX_ID_BYTES)
        row = await self._dispatcher.cancel(key, *claim, op_id)
        return pb.CancelOperationResponse(operation=translate.operation(row))

    async def GetSandbox(self, request: pb.GetSandboxRequest, context: Context) -> pb.GetSandboxResponse:
        """Where the sandbox of a build stands."""
        build = await self._builds.get(_key(request.build_id))
        if build is None:
            raise SandboxNotFound()
        return pb.GetSandboxResponse(
            state=translate.state(build.state),
            generation=build.generation,
            epoch=build.fence.epoch,
            backend=self._backend_name,
        )

    async def ListOperations(self, request: pb.ListOperationsRequest, context: Context) -> pb.ListOperationsResponse:
        """One page of the journal."""
        size = require_between("page_size", request.page_size, 0, _MAX_PAGE_SIZE) or _PAGE_SIZE
        after = translate.page_position(request.page_token)
        rows = await self._operations.page(_key(request.build_id), after, size)
        token = translate.page_token(rows[-1].position) if len(rows) == size else ""
        return pb.ListOperationsResponse(operations=map(translate.operation, rows), next_page_token=token)


def _key(build_id: str) -> BuildKey:
    """The build of a request, of the caller's tenant; from here on log lines name it."""
    key = translate.build_key(current_caller().tenant_id, build_id)
    bind(build_id=key.build_id)
    return key
