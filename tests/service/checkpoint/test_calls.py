"""The checkpoint service over gRPC: what it keeps, and how it refuses."""

import hashlib
from collections.abc import Awaitable, Callable

import grpc
import pytest
from taor.checkpoint.v1 import checkpoint_pb2 as pb
from taor.checkpoint.v1.errors_pb2 import ErrorReason

from taor_chassis.boundary import error_info
from tests.service.checkpoint.messages import BUILD, Checkpoint, append, assistant, attach, head, read, user

MIB = 1 << 20
Call = Callable[[Checkpoint], Awaitable[object]]


async def test_a_new_build_has_an_empty_log(checkpoint: Checkpoint) -> None:
    assert await attach(checkpoint) == [pb.AttachBuildResponse(complete=True)]


async def test_entries_come_back_as_they_were_sent(checkpoint: Checkpoint) -> None:
    await attach(checkpoint)
    sent = [head(), user(b'{"role":"user","content":"caf\xc3\xa9"}', "inbox-1"), assistant()]
    assert await append(checkpoint, 0, *sent) == 3
    for sequence, (got, was) in enumerate(zip(await read(checkpoint), sent, strict=True), start=1):
        assert (got.sequence, got.epoch, got.segment) == (sequence, 1, 1)
        assert got.body_sha256 == hashlib.sha256(was.body).digest()
        assert got.HasField("append_time")
        for field in ("sequence", "epoch", "segment", "body_sha256", "append_time"):
            got.ClearField(field)
        assert got == was


async def test_usage_stays_absent_where_none_was_reported(checkpoint: Checkpoint) -> None:
    await attach(checkpoint)
    answer = assistant()
    answer.call.ClearField("usage")
    await append(checkpoint, 0, head(), answer)
    assert not (await read(checkpoint))[1].call.HasField("usage")


async def test_a_long_log_comes_in_chunks(checkpoint: Checkpoint) -> None:
    await attach(checkpoint)
    for number in range(20):
        await append(checkpoint, number, head(b"x" * (MIB // 2 - 100)))
    chunks = await attach(checkpoint, epoch=2)
    assert [len(chunk.entries) for chunk in chunks] == [2] * 10
    assert [chunk.complete for chunk in chunks] == [False] * 9 + [True]
    assert {chunk.head for chunk in chunks} == {20}
    assert [entry.sequence for entry in await read(checkpoint, after=17)] == [18, 19, 20]


async def test_the_session_tells_fence_and_head(checkpoint: Checkpoint) -> None:
    await attach(checkpoint, epoch=4)
    await append(checkpoint, 0, head(b"12345"), user(b"678"), epoch=4)
    session = await checkpoint.GetSession(pb.GetSessionRequest(build_id=BUILD))
    assert (session.build_id, session.project_id, session.epoch) == (BUILD, "project-1", 4)
    assert (session.head, session.body_bytes) == (2, 8)
    assert session.HasField("create_time")


REFUSALS: dict[str, tuple[str, dict[str, str], Call]] = {
    "a stale append": ("STALE_EPOCH", {"epoch": "2"}, lambda c: append(c, 1, user())),
    "a stale retry": ("STALE_EPOCH", {"epoch": "2"}, lambda c: append(c, 0, head())),
    "a stale attach": ("STALE_EPOCH", {"epoch": "2"}, lambda c: attach(c, epoch=1)),
    "another owner": ("STALE_EPOCH", {"epoch": "2"}, lambda c: attach(c, epoch=2, owner="else")),
    "not attached": ("NOT_ATTACHED", {"epoch": "2"}, lambda c: append(c, 1, user(), epoch=3)),
    "head moved": ("HEAD_MOVED", {"head": "2"}, lambda c: append(c, 1, user(b"other"), epoch=2)),
    "inbox id": ("INBOX_ID_REPEATED", {"head": "2"}, lambda c: append(c, 2, user(b"x", "inbox-1"), epoch=2)),
    "project": ("PROJECT_MISMATCH", {"build_id": BUILD}, lambda c: attach(c, epoch=3, project_id="else")),
    "no session": (
        "SESSION_NOT_FOUND",
        {"build_id": "none"},
        lambda c: c.GetSession(pb.GetSessionRequest(build_id="none")),
    ),
    "NUL in a name": ("FIELD_INVALID", {"field": "owner"}, lambda c: attach(c, epoch=3, owner="a\0b")),
    "no kind": ("FIELD_MISSING", {"field": "entries[0].kind"}, lambda c: append(c, 2, pb.LogEntry(body=b"x"), epoch=2)),
    "no body": ("FIELD_MISSING", {"field": "entries[1].body"}, lambda c: append(c, 2, user(), user(b""), epoch=2)),
    "no entries": ("FIELD_INVALID", {"field": "entries"}, lambda c: append(c, 2, epoch=2)),
    "no owner": ("FIELD_MISSING", {"field": "owner"}, lambda c: attach(c, epoch=3, owner="")),
    "no project": ("FIELD_MISSING", {"field": "project_id"}, lambda c: attach(c, epoch=3, project_id="")),
    "no epoch": ("FIELD_INVALID", {"field": "epoch"}, lambda c: append(c, 2, user(), epoch=0)),
    "past the head": ("FIELD_INVALID", {"field": "after_sequence"}, lambda c: read(c, after=3)),
    "foreign rid": (
        "FIELD_INVALID",
        {"field": "entries[0].call.rid"},
        lambda c: append(c, 2, assistant(f"{BUILD}/1/0"), epoch=2),
    ),
    "wrong hash": (
        "FIELD_INVALID",
        {"field": "entries[0].body_sha256"},
        lambda c: append(c, 2, pb.LogEntry(kind=pb.LogEntry.USER, body=b"x", body_sha256=bytes(32)), epoch=2),
    ),
    "no call": (
        "FIELD_INVALID",
        {"field": "entries[0].call"},
        lambda c: append(c, 2, pb.LogEntry(kind=pb.LogEntry.ASSISTANT, body=b"x"), epoch=2),
    ),
    "inbox id twice": (
        "FIELD_INVALID",
        {"field": "entries.inbox_ids"},
        lambda c: append(c, 2, user(b"x", "inbox-2", "inbox-2"), epoch=2),
    ),
    "after an outcome": (
        "FIELD_INVALID",
        {"field": "entries[0].kind"},
        lambda c: append(c, 2, pb.LogEntry(kind=pb.LogEntry.OUTCOME, body=b"x"), user(), epoch=2),
    ),
    "no head": ("FIELD_INVALID", {"field": "entries[0].kind"}, lambda c: append(c, 0, user(), epoch=2)),
}


@pytest.mark.parametrize(("reason", "metadata", "call"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_tells_its_reason(
    checkpoint: Checkpoint, reason: str, metadata: dict[str, str], call: Call
) -> None:
    await attach(checkpoint)
    await append(checkpoint, 0, head(), user(b"brief", "inbox-1"))
    await attach(checkpoint, epoch=2)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call(checkpoint)
    info = error_info(refusal.value)
    assert info is not None
    assert info.reason == reason
    assert metadata.items() <= info.metadata.items()
    assert ErrorReason.Value(reason)
    assert (await checkpoint.GetSession(pb.GetSessionRequest(build_id=BUILD))).head == 2


@pytest.mark.parametrize(
    ("entries", "field"),
    [([8 * MIB + 1], "entries[0].body"), ([5 * MIB, 4 * MIB, 3 * MIB + 1], "entries")],
    ids=["an entry", "an append"],
)
async def test_sizes_are_bounded(checkpoint: Checkpoint, entries: list[int], field: str) -> None:
    await attach(checkpoint)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await append(checkpoint, 0, *(head(bytes(size)) for size in entries))
    info = error_info(refusal.value)
    assert info is not None
    assert (info.reason, info.metadata["field"]) == ("FIELD_TOO_LARGE", field)


async def test_the_largest_append_goes_through_and_comes_back(checkpoint: Checkpoint) -> None:
    await attach(checkpoint)
    assert await append(checkpoint, 0, head(bytes(8 * MIB)), user(bytes(4 * MIB))) == 2
    assert [len(entry.body) for entry in await read(checkpoint)] == [8 * MIB, 4 * MIB]
