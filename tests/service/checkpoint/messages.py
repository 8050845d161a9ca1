"""Messages of the contract, as an orchestrator would send them."""

import hashlib
from typing import TYPE_CHECKING, TypeAlias

from taor.checkpoint.v1 import checkpoint_pb2 as pb

if TYPE_CHECKING:
    from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceAsyncStub

Checkpoint: TypeAlias = "CheckpointServiceAsyncStub"  # a name of the type checker only
BUILD = "build-1"


def head(body: bytes = b'{"system":"..."}') -> pb.LogEntry:
    """The entry that opens a log."""
    return pb.LogEntry(kind=pb.LogEntry.HEAD, body=body)


def user(body: bytes = b'{"role":"user"}', *inbox_ids: str) -> pb.LogEntry:
    """A user message."""
    return pb.LogEntry(kind=pb.LogEntry.USER, body=body, inbox_ids=inbox_ids)


def assistant(rid: str = f"{BUILD}/1/0") -> pb.LogEntry:
    """An answer of the model with the record of its call."""
    call = pb.ModelCall(
        rid=rid,
        request_sha256=hashlib.sha256(b"request").digest(),
        model="a-model",
        max_output_tokens=4096,
        usage=pb.Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3),
        stop_reason="end_turn",
        price_id="price-1",
    )
    call.start_time.FromJsonString("2026-07-01T12:00:00.123456Z")
    return pb.LogEntry(kind=pb.LogEntry.ASSISTANT, body=b'{"role":"assistant"}', call=call)


async def attach(checkpoint: Checkpoint, epoch: int = 1, **fields: str) -> list[pb.AttachBuildResponse]:
    """Attach to the build and collect the chunks of its log."""
    fields = {"build_id": BUILD, "project_id": "project-1", "owner": f"owner-{epoch}", **fields}
    request = pb.AttachBuildRequest(epoch=epoch, **fields)
    return [response async for response in checkpoint.AttachBuild(request)]


async def append(checkpoint: Checkpoint, at: int, *entries: pb.LogEntry, epoch: int = 1) -> int:
    """Append entries after a head and return the new one."""
    request = pb.AppendEntriesRequest(build_id=BUILD, epoch=epoch, head=at, entries=entries)
    return (await checkpoint.AppendEntries(request)).head


async def read(checkpoint: Checkpoint, after: int = 0) -> list[pb.LogEntry]:
    """Read the log of the build."""
    request = pb.ReadLogRequest(build_id=BUILD, after_sequence=after)
    return [entry async for response in checkpoint.ReadLog(request) for entry in response.entries]
