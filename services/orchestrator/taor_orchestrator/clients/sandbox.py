"""The effects of builds, at the sandbox service."""

from __future__ import annotations

from typing import assert_never

import grpc
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1 import sandbox_pb2_grpc

from taor_orchestrator.build import Claim
from taor_orchestrator.clients.patience import patiently
from taor_orchestrator.ports import Attached, Fate, Sandbox
from taor_orchestrator.toolset import (
    Bash,
    EditFile,
    Glob,
    Grep,
    Operation,
    OperationState,
    ReadFile,
    TakeScreenshot,
    ToolInput,
    WriteFile,
)
from taor_orchestrator.transcript import Image, ToolAnswer

DISPATCH_SECONDS = 900.0
RELEASE_SECONDS = 120.0


class SandboxClient(Sandbox):
    """Implements the `Sandbox` port."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: sandbox_pb2_grpc.SandboxServiceAsyncStub = sandbox_pb2_grpc.SandboxServiceStub(channel)

    async def attach(self, claim: Claim, attach_number: int, tail_sequence: int) -> Attached:
        """Raise the fence, and see to it that a sandbox is there or on its way."""
        request = pb.AttachBuildRequest(
            build_id=claim.build_id,
            epoch=claim.epoch,
            owner=claim.owner,
            attach_number=attach_number,
            project_id=claim.project_id,
            tail_sequence=tail_sequence,
        )
        response = await patiently(lambda: self._stub.AttachBuild(request))
        return Attached(response.generation, tuple(map(_operation, response.operations)))

    async def dispatch(
        self, claim: Claim, generation: int, op_id: str, log_sequence: int, tool: ToolInput
    ) -> ToolAnswer:
        """Run one tool call, once; the same id again follows it or repeats its result."""
        request = pb.DispatchRequest(
            build_id=claim.build_id, epoch=claim.epoch, generation=generation, op_id=op_id, log_sequence=log_sequence
        )
        _put_tool(request, tool)
        try:
            return await patiently(lambda: self._result(request))
        except grpc.aio.AioRpcError as error:
            # What the tool does not take was written by the model, who can write it anew; nothing was begun.
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            return ToolAnswer(f"Not run: {error.details()}", failed=True)

    async def cancel(self, claim: Claim, generation: int, op_id: str) -> bool:
        """Kill the command of a running tool call; False when the call has never begun."""
        request = pb.CancelOperationRequest(
            build_id=claim.build_id, epoch=claim.epoch, generation=generation, op_id=op_id
        )
        try:
            await patiently(lambda: self._stub.CancelOperation(request))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def snapshot(self, claim: Claim, generation: int) -> None:
        """Take a snapshot of the project's files."""
        request = pb.TakeSnapshotRequest(build_id=claim.build_id, epoch=claim.epoch, generation=generation)
        await patiently(lambda: self._stub.TakeSnapshot(request, timeout=RELEASE_SECONDS))

    async def release(self, claim: Claim, generation: int, fate: Fate) -> None:
        """End the use of the sandbox, with a last snapshot."""
        request = pb.ReleaseSandboxRequest(
            build_id=claim.build_id,
            epoch=claim.epoch,
            generation=generation,
            fate=pb.ReleaseSandboxRequest.Fate.Value(fate.value),
        )
        await patiently(lambda: self._stub.ReleaseSandbox(request, timeout=RELEASE_SECONDS))

    async def _result(self, request: pb.DispatchRequest) -> ToolAnswer:
        async for response in self._stub.Dispatch(request, timeout=DISPATCH_SECONDS):
            if response.HasField("result"):
                return _tool_answer(response.result)
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE,
            grpc.aio.Metadata(),
            grpc.aio.Metadata(),
            "the stream of a tool call ended without a result",
        )


def _operation(operation: pb.Operation) -> Operation:
    return Operation(operation.op_id, OperationState(pb.Operation.State.Name(operation.state)))


def _tool_answer(result: pb.ToolResult) -> ToolAnswer:
    image = Image(result.image.media_type, result.image.content) if result.HasField("image") else None
    return ToolAnswer(result.text, failed=result.HasField("failure"), image=image)


def _put_tool(request: pb.DispatchRequest, tool: ToolInput) -> None:
    match tool:
        case ReadFile(path, start_line, end_line):
            request.read_file.CopyFrom(pb.ReadFile(path=path, start_line=start_line, end_line=end_line))
        case WriteFile(path, content):
            request.write_file.CopyFrom(pb.WriteFile(path=path, content=content))
        case EditFile(path, edits):
            replacements = [pb.EditFile.Replacement(old_text=each.old_text, new_text=each.new_text) for each in edits]
            request.edit_file.CopyFrom(pb.EditFile(path=path, edits=replacements))
        case Bash(command, timeout_seconds, background):
            request.bash.CopyFrom(pb.Bash(command=command, timeout_seconds=timeout_seconds, background=background))
        case Grep(pattern, path, glob, max_results):
            request.grep.CopyFrom(pb.Grep(pattern=pattern, path=path, glob=glob, max_results=max_results))
        case Glob(pattern, path):
            request.glob.CopyFrom(pb.Glob(pattern=pattern, path=path))
        case TakeScreenshot(port, path, is_mobile):
            viewport = pb.TakeScreenshot.MOBILE if is_mobile else pb.TakeScreenshot.DESKTOP
            request.take_screenshot.CopyFrom(pb.TakeScreenshot(port=port, path=path, viewport=viewport))
        case _:
            assert_never(tool)
