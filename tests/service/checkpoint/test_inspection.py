"""What the checkpoint service shows to people who look into it with grpcurl."""

import hashlib
from collections.abc import Awaitable, Callable

import grpc
import pytest
from taor.checkpoint.v1 import checkpoint_pb2 as pb
from taor.checkpoint.v1.errors_pb2 import ErrorReason

from taor_chassis.boundary import error_info
from tests.service.checkpoint.messages import BUILD, Checkpoint, append, assistant, attach, head, user

BRIEF = b'{"role":"user","content":"caf\xc3\xa9"}'


async def test_sessions_are_listed_newest_first_and_in_pages(checkpoint: Checkpoint) -> None:
    for number in range(5):
        await attach(checkpoint, build_id=f"build-{number}", project_id=f"project-{number % 2}")
    assert await _listed(checkpoint, page_size=2) == [["build-4", "build-3"], ["build-2", "build-1"], ["build-0"]]
    assert await _listed(checkpoint, project_id="project-0", page_size=3) == [["build-4", "build-2", "build-0"]]
    assert await _listed(checkpoint, project_id="none") == [[]]


async def test_a_listed_session_tells_where_its_log_stands(checkpoint: Checkpoint) -> None:
    await attach(checkpoint, epoch=3)
    await append(checkpoint, 0, head(b"12345"), user(b"678"), head(b"9"), epoch=3)
    (session,) = (await checkpoint.ListSessions(pb.ListSessionsRequest())).sessions
    assert (session.build_id, session.project_id, session.epoch) == (BUILD, "project-1", 3)
    assert (session.head, session.segments, session.body_bytes) == (3, 2, 9)
    assert session.HasField("append_time")
    assert not session.HasField("close_time")
    await append(checkpoint, 3, pb.LogEntry(kind=pb.LogEntry.OUTCOME, body=b"{}"), epoch=3)
    (session,) = (await checkpoint.ListSessions(pb.ListSessionsRequest())).sessions
    assert session.HasField("close_time")
    assert not session.HasField("delete_time")


async def test_an_entry_is_shown_without_its_body(checkpoint: Checkpoint) -> None:
    await _three_entries(checkpoint)
    shown = await checkpoint.InspectLog(pb.InspectLogRequest(build_id=BUILD))
    assert [entry.kind for entry in shown.entries] == [pb.LogEntry.HEAD, pb.LogEntry.USER, pb.LogEntry.ASSISTANT]
    assert (shown.head, shown.more) == (3, False)
    assert not any(entry.origin_build_id for entry in shown.entries)
    brief = shown.entries[1]
    assert (brief.sequence, brief.segment, brief.epoch) == (2, 1, 1)
    assert (brief.body_bytes, brief.body_sha256) == (len(BRIEF), hashlib.sha256(BRIEF).hexdigest())
    assert list(brief.inbox_ids) == ["inbox-1"]
    assert not any(entry.body or entry.body_cut for entry in shown.entries)
    call = shown.entries[2].call
    assert (call.rid, call.model, call.stop_reason) == (f"{BUILD}/1/0", "a-model", "end_turn")
    assert (call.usage.input_tokens, call.usage.output_tokens) == (1, 2)
    assert call.request_sha256 == hashlib.sha256(b"request").hexdigest()


async def test_bodies_are_shown_on_request_and_cut(checkpoint: Checkpoint) -> None:
    await _three_entries(checkpoint)
    whole = await checkpoint.InspectLog(pb.InspectLogRequest(build_id=BUILD, after_sequence=1, bodies=True))
    assert [entry.body for entry in whole.entries] == [BRIEF.decode(), '{"role":"assistant"}']
    assert not any(entry.body_cut for entry in whole.entries)
    cut = await checkpoint.InspectLog(pb.InspectLogRequest(build_id=BUILD, bodies=True, max_body_bytes=7, page_size=2))
    assert [(entry.body, entry.body_cut) for entry in cut.entries] == [('{"syste', True), ('{"role"', True)]
    assert cut.more


async def test_a_page_of_bodies_is_bounded(checkpoint: Checkpoint) -> None:
    await attach(checkpoint)
    await append(checkpoint, 0, *(head(b"x" * 700_000) for _ in range(5)))
    request = pb.InspectLogRequest(build_id=BUILD, bodies=True)
    sequences = []
    more = True
    while more:
        shown = await checkpoint.InspectLog(request)
        assert len(shown.entries) == 1
        sequences += [entry.sequence for entry in shown.entries]
        request.after_sequence, more = sequences[-1], shown.more
    assert sequences == [1, 2, 3, 4, 5]


async def test_a_deleted_project_is_listed_as_such_and_refused(checkpoint: Checkpoint) -> None:
    await _three_entries(checkpoint)
    first = await checkpoint.DeleteProject(pb.DeleteProjectRequest(project_id="project-1"))
    again = await checkpoint.DeleteProject(pb.DeleteProjectRequest(project_id="project-1"))
    assert again.delete_time == first.delete_time
    (session,) = (await checkpoint.ListSessions(pb.ListSessionsRequest(project_id="project-1"))).sessions
    assert session.delete_time == first.delete_time
    for call in (
        checkpoint.InspectLog(pb.InspectLogRequest(build_id=BUILD)),
        checkpoint.GetSession(pb.GetSessionRequest(build_id=BUILD)),
        append(checkpoint, 3, user()),
        attach(checkpoint, epoch=2),
        attach(checkpoint, build_id="another"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        info = error_info(refusal.value)
        assert info is not None
        assert (refusal.value.code(), info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROJECT_DELETED")
        assert info.metadata["project_id"] == "project-1"


MISTAKES: dict[str, Callable[[Checkpoint], Awaitable[object]]] = {
    "page_size": lambda c: c.ListSessions(pb.ListSessionsRequest(page_size=501)),
    "page_token": lambda c: c.ListSessions(pb.ListSessionsRequest(page_token="a\0b")),
    "max_body_bytes": lambda c: c.InspectLog(pb.InspectLogRequest(build_id=BUILD, max_body_bytes=65_537)),
    "after_sequence": lambda c: c.InspectLog(pb.InspectLogRequest(build_id=BUILD, after_sequence=4)),
    "build_id": lambda c: c.InspectLog(pb.InspectLogRequest()),
    "project_id": lambda c: c.DeleteProject(pb.DeleteProjectRequest()),
}


@pytest.mark.parametrize("field", MISTAKES)
async def test_what_cannot_be_meant_is_refused(checkpoint: Checkpoint, field: str) -> None:
    await _three_entries(checkpoint)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await MISTAKES[field](checkpoint)
    info = error_info(refusal.value)
    assert info is not None
    assert ErrorReason.Value(info.reason)
    assert info.metadata["field"] == field


async def _three_entries(checkpoint: Checkpoint) -> None:
    await attach(checkpoint)
    await append(checkpoint, 0, head(), user(BRIEF, "inbox-1"), assistant())


async def _listed(checkpoint: Checkpoint, project_id: str = "", page_size: int = 0) -> list[list[str]]:
    """The builds of every page."""
    request = pb.ListSessionsRequest(project_id=project_id, page_size=page_size)
    pages = []
    while True:
        page = await checkpoint.ListSessions(request)
        pages.append([session.build_id for session in page.sessions])
        if not page.next_page_token:
            return pages
        request.page_token = page.next_page_token
