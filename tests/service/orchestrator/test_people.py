"""Answers, steering, pauses: what is taken, what is refused, and that a repeated request is the same request."""

import asyncio
import datetime

import grpc
import orjson
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_orchestrator import context
from taor_orchestrator.build import BuildState, Claim
from taor_orchestrator.escalation import ASKED
from taor_orchestrator.history import Entry, EntryKind, History, ModelCall
from taor_orchestrator.inbox import TextKind
from taor_orchestrator.store.projection import BuildRow
from taor_orchestrator.transcript import ToolAnswer, tool_uses
from tests.service.orchestrator.conftest import Orchestrator, order
from tests.service.orchestrator.test_api import refusal
from tests.service.orchestrator.test_projection import claimed

ENDED = (grpc.StatusCode.FAILED_PRECONDITION, "BUILD_ENDED")
NO_QUESTION = (grpc.StatusCode.FAILED_PRECONDITION, "NO_OPEN_QUESTION")
FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "INBOX_FULL")
CONFLICT = (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")


def asking_log(claim: Claim) -> History:
    """A log that ends with a question."""
    asked = {"question": "Which colour?", "tried": "Both.", "options": ["red", "blue"], "recommendation": "red"}
    blocks = [{"type": "tool_use", "id": "t", "name": "escalate", "input": asked}]
    started = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    call = ModelCall(f"{claim.build_id}/1/0", b"", "model", 10, None, "tool_use", "price", started)
    answer = Entry(3, 1, 1, EntryKind.ASSISTANT, orjson.dumps({"role": "assistant", "content": blocks}), (), call)
    return History(
        (
            Entry(1, 1, 1, EntryKind.HEAD, b"{}"),
            Entry(2, 1, 1, EntryKind.USER, context.note_body("Say hello.")),
            answer,
            Entry(4, 1, 1, EntryKind.USER, context.results_body(tool_uses(answer), [ToolAnswer(ASKED)])),
        )
    )


async def asking(orchestrator: Orchestrator) -> tuple[Claim, BuildRow]:
    """A claimed build whose question is open."""
    claim, row = await claimed(orchestrator), BuildRow(orchestrator.pool, lambda _: None)
    await row.project(claim, asking_log(claim), 0)
    return claim, row


def answer(build_id: str, text: str = "Green.", request_id: str = "a-1") -> pb.AnswerBuildRequest:
    return pb.AnswerBuildRequest(build_id=build_id, request_id=request_id, text=text)


def steer(build_id: str, text: str = "Also say goodbye.", request_id: str = "s-1") -> pb.SteerBuildRequest:
    return pb.SteerBuildRequest(build_id=build_id, request_id=request_id, text=text)


def pause(build_id: str, request_id: str = "p-1") -> pb.PauseBuildRequest:
    return pb.PauseBuildRequest(build_id=build_id, request_id=request_id)


def resume(build_id: str, request_id: str = "r-1") -> pb.ResumeBuildRequest:
    return pb.ResumeBuildRequest(build_id=build_id, request_id=request_id)


async def _state(orchestrator: Orchestrator, build_id: str) -> pb.Build:
    return (await orchestrator.stub.GetBuild(pb.GetBuildRequest(build_id=build_id))).build


async def test_a_question_stands_in_the_build_until_it_is_answered(orchestrator: Orchestrator) -> None:
    claim, row = await asking(orchestrator)
    question = (await _state(orchestrator, claim.build_id)).question
    assert (question.question, list(question.options)) == ("Which colour?", ["red", "blue"])
    assert await row.wait(claim, BuildState.WAITING_ANSWER, await row.wake_generation(claim))
    answered = (await orchestrator.stub.AnswerBuild(answer(claim.build_id))).build
    assert answered.state == pb.Build.QUEUED
    assert not (await _state(orchestrator, claim.build_id)).HasField("question")
    assert [(item.kind, item.text) for item in await row.unread(claim)] == [(TextKind.ANSWER, "Green.")]


async def test_an_answer_is_taken_once(orchestrator: Orchestrator) -> None:
    claim, row = await asking(orchestrator)
    for _ in range(3):
        await orchestrator.stub.AnswerBuild(answer(claim.build_id))
    assert len(await row.unread(claim)) == 1
    assert await refusal(orchestrator.stub.AnswerBuild(answer(claim.build_id, "Blue."))) == CONFLICT
    assert await refusal(orchestrator.stub.AnswerBuild(answer(claim.build_id, request_id="a-2"))) == NO_QUESTION


async def test_what_was_not_asked_is_not_answered(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    assert await refusal(orchestrator.stub.AnswerBuild(answer(claim.build_id))) == NO_QUESTION
    await BuildRow(orchestrator.pool, lambda _: None).project(claim, asking_log(claim), 0)
    assert (await orchestrator.stub.AnswerBuild(answer(claim.build_id))).build.build_id == claim.build_id


async def test_the_log_closes_the_question_and_tells_the_answer(orchestrator: Orchestrator) -> None:
    claim, row = await asking(orchestrator)
    await orchestrator.stub.AnswerBuild(answer(claim.build_id))
    [item] = await row.unread(claim)
    read = Entry(5, 1, 1, EntryKind.USER, context.texts_body(["Answer from your user: Green."]), (item.inbox_id,))
    await row.project(claim, asking_log(claim).grow(read), 0)
    assert await row.unread(claim) == []
    assert await refusal(orchestrator.stub.AnswerBuild(answer(claim.build_id, request_id="a-2"))) == NO_QUESTION
    events = await _events_so_far(orchestrator, claim.build_id)
    assert [event.escalated.recommendation for event in events if event.HasField("escalated")] == ["red"]
    assert events[-1].message_read == pb.Event.MessageRead(inbox_id=item.inbox_id, text="Answer from your user: Green.")


async def test_an_answer_to_a_build_on_its_way_to_rest_is_not_lost(orchestrator: Orchestrator) -> None:
    claim, row = await asking(orchestrator)
    generation = await row.wake_generation(claim)
    await orchestrator.stub.AnswerBuild(answer(claim.build_id))
    assert not await row.wait(claim, BuildState.WAITING_ANSWER, generation)
    assert (await row.signals(claim)).inbox_waiting


async def test_sixty_four_texts_wait_and_still_an_answer_is_let_in(orchestrator: Orchestrator) -> None:
    claim, row = await asking(orchestrator)
    sent = (orchestrator.stub.SteerBuild(steer(claim.build_id, f"{n}", f"s-{n}")) for n in range(64))
    await asyncio.gather(*sent)
    assert await refusal(orchestrator.stub.SteerBuild(steer(claim.build_id, request_id="more"))) == FULL
    await orchestrator.stub.AnswerBuild(answer(claim.build_id))
    assert len(await row.unread(claim)) == 65
    again = await orchestrator.stub.SteerBuild(steer(claim.build_id, "7", "s-7"))
    assert again.build.build_id == claim.build_id, "a request that was taken is no new one"


@pytest.mark.parametrize(
    ("text", "reason"), [("", "FIELD_MISSING"), ("x" * (16 * 1024 + 1), "FIELD_TOO_LARGE"), ("a\0b", "FIELD_INVALID")]
)
async def test_a_text_that_cannot_be_kept_is_refused(orchestrator: Orchestrator, text: str, reason: str) -> None:
    build_id = (await orchestrator.stub.StartBuild(order())).build.build_id
    refused = await refusal(orchestrator.stub.SteerBuild(steer(build_id, text)))
    assert refused == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_a_build_that_nobody_works_on_is_paused_at_once(orchestrator: Orchestrator) -> None:
    build_id = (await orchestrator.stub.StartBuild(order())).build.build_id
    assert (await orchestrator.stub.PauseBuild(pause(build_id))).build.state == pb.Build.PAUSED
    assert (await orchestrator.stub.ResumeBuild(resume(build_id))).build.state == pb.Build.QUEUED
    repeated = (await orchestrator.stub.PauseBuild(pause(build_id))).build
    assert repeated.state == pb.Build.QUEUED, "a request that was made before is not made again"
    told_so_far = await _events_so_far(orchestrator, build_id)
    assert [event.state_changed.reason for event in told_so_far] == ["paused", "resumed"]


async def test_a_wake_does_not_end_a_pause_and_a_cancellation_does(orchestrator: Orchestrator) -> None:
    build_id = (await orchestrator.stub.StartBuild(order())).build.build_id
    await orchestrator.stub.PauseBuild(pause(build_id))
    woken = await orchestrator.stub.WakeBuild(pb.WakeBuildRequest(build_id=build_id, request_id="w-1"))
    assert woken.build.state == pb.Build.PAUSED
    cancelled = await orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=build_id, request_id="c-1"))
    assert cancelled.build.state == pb.Build.QUEUED


async def test_a_build_that_is_cancelled_or_has_ended_hears_nothing(orchestrator: Orchestrator) -> None:
    build_id = (await orchestrator.stub.StartBuild(order())).build.build_id
    await orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=build_id, request_id="c-1"))
    stub = orchestrator.stub
    for call in (stub.SteerBuild(steer(build_id)), stub.AnswerBuild(answer(build_id))):
        assert await refusal(call) == ENDED
    assert await refusal(stub.PauseBuild(pause(build_id))) == ENDED
    assert await refusal(stub.ResumeBuild(resume(build_id))) == ENDED
    assert await orchestrator.pool.fetchval("SELECT count(*) FROM requests WHERE method = 'SteerBuild'") == 0


async def _events_so_far(orchestrator: Orchestrator, build_id: str) -> list[pb.Event]:
    """The events up to the number that the build tells."""
    last = (await _state(orchestrator, build_id)).last_event_sequence
    stream = orchestrator.stub.WatchBuild(pb.WatchBuildRequest(build_id=build_id), timeout=20)
    events: list[pb.Event] = []
    async for response in stream:
        events.append(response.event)
        if response.event.sequence == last:
            stream.cancel()
            break
    return events
