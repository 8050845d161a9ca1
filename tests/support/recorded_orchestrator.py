"""The orchestrator's contract answered from recorded data: the other side of the wire for tests of its clients."""
# ruff: noqa: N802 - RPC methods are named by the contract

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from taor.orchestrator.v1 import orchestrator_pb2 as pb
from taor.orchestrator.v1.orchestrator_pb2_grpc import (
    OrchestratorServiceServicer,
    add_OrchestratorServiceServicer_to_server,
)

from taor_chassis.errors import ServiceError
from taor_chassis.server import Registration, running_server

TOKEN = "token-of-the-recorded-orchestrator"
BEGAN = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
Context = grpc.aio.ServicerContext[object, object]


class BuildNotFound(ServiceError):
    status = grpc.StatusCode.NOT_FOUND
    reason = "BUILD_NOT_FOUND"


class RequestIdConflict(ServiceError):
    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "REQUEST_ID_CONFLICT"


class NoOpenQuestion(ServiceError):
    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NO_OPEN_QUESTION"


class RecordedOrchestrator(OrchestratorServiceServicer):
    """Holds builds and their events; events that tests add reach open watches at once."""

    SERVICE: ClassVar[str] = "taor.orchestrator.v1.OrchestratorService"

    def __init__(self) -> None:
        self.builds: dict[str, pb.Build] = {}
        self.events: dict[str, list[pb.Event]] = {}
        self.started: dict[str, pb.StartBuildRequest] = {}
        self.told: list[tuple[str, str]] = []
        self.turns: dict[str, list[pb.Turn]] = {}
        self.difference = pb.DiffTurnsResponse()
        self.watched_after: list[int] = []
        self.words: deque[pb.TextDelta] = deque()
        """Words for the next watch that asks for them; `say` adds to them."""
        self.break_after: int | None = None
        """Abort the next watch with UNAVAILABLE once it has sent this many events."""
        self._grown = asyncio.Condition()
        self._numbers = itertools.count(1)

    async def add(self, build_id: str, *events: pb.Event) -> None:
        """Record events; their sequences are given here."""
        recorded = self.events.setdefault(build_id, [])
        for event in events:
            event.sequence = len(recorded) + 1
            event.time.CopyFrom(seconds_in(event.sequence))
            recorded.append(event)
            self.builds[build_id].last_event_sequence = event.sequence
            if event.WhichOneof("what") == "ended":
                self.builds[build_id].state = event.ended.state
                self.builds[build_id].outcome_message = event.ended.message
        async with self._grown:
            self._grown.notify_all()

    async def say(self, turn: int, call_id: str, text: str) -> None:
        """Let a running call say something."""
        self.words.append(pb.TextDelta(turn=turn, call_id=call_id, text=text))
        async with self._grown:
            self._grown.notify_all()

    def new_build(self, **fields: str) -> pb.Build:
        """Record a build that waits for a worker."""
        number = next(self._numbers)
        build = pb.Build(
            build_id=f"0198f3a{number:x}-0000-7000-8000-{number:012d}", state=pb.Build.QUEUED, create_time=seconds_in(0)
        )
        for name, value in {"user_id": "me", "project_id": "shop", "tier": "partner", "model": "m-1", **fields}.items():
            setattr(build, name, value)
        self.builds[build.build_id] = build
        return build

    async def StartBuild(self, request: pb.StartBuildRequest, context: Context) -> pb.StartBuildResponse:
        for build_id, earlier in self.started.items():
            if earlier.request_id == request.request_id:
                if earlier != request:
                    raise RequestIdConflict("this request id stands for another request")
                return pb.StartBuildResponse(build=self.builds[build_id])
        build = self.new_build(user_id=request.user_id, project_id=request.project_id, tier=request.tier)
        self.started[build.build_id] = request
        return pb.StartBuildResponse(build=build)

    async def GetBuild(self, request: pb.GetBuildRequest, context: Context) -> pb.GetBuildResponse:
        return pb.GetBuildResponse(build=self._build(request.build_id))

    async def ListBuilds(self, request: pb.ListBuildsRequest, context: Context) -> pb.ListBuildsResponse:
        newest_first = [
            build
            for build in reversed(self.builds.values())
            if request.project_id in ("", build.project_id) and request.user_id in ("", build.user_id)
        ]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 50, 2)  # small pages, so that clients have to turn them
        token = str(end) if end < len(newest_first) else ""
        return pb.ListBuildsResponse(builds=newest_first[start:end], next_page_token=token)

    async def CancelBuild(self, request: pb.CancelBuildRequest, context: Context) -> pb.CancelBuildResponse:
        build = self._build(request.build_id)
        build.state = pb.Build.CANCELLED
        return pb.CancelBuildResponse(build=build)

    async def WakeBuild(self, request: pb.WakeBuildRequest, context: Context) -> pb.WakeBuildResponse:
        build = self._build(request.build_id)
        build.state = pb.Build.QUEUED
        return pb.WakeBuildResponse(build=build)

    async def WatchBuild(self, request: pb.WatchBuildRequest, context: Context) -> AsyncIterator[pb.WatchBuildResponse]:
        build = self._build(request.build_id)
        self.watched_after.append(request.after_sequence)
        for sent, index in enumerate(itertools.count(request.after_sequence)):
            events = self.events.setdefault(build.build_id, [])
            while len(events) <= index or (self.words and request.include_text_deltas):
                async with self._grown:
                    await self._grown.wait_for(lambda: len(events) > index or self.words)  # noqa: B023 - awaited here
                while self.words and request.include_text_deltas:
                    yield pb.WatchBuildResponse(text_delta=self.words.popleft())
            if sent == self.break_after:
                self.break_after = None
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            yield pb.WatchBuildResponse(event=events[index])
            if events[index].WhichOneof("what") == "ended":
                return

    async def AnswerBuild(self, request: pb.AnswerBuildRequest, context: Context) -> pb.AnswerBuildResponse:
        build = self._build(request.build_id)
        if not build.HasField("question"):
            raise NoOpenQuestion("the build has no open question")
        self.told.append(("answer", request.text))
        build.ClearField("question")
        return pb.AnswerBuildResponse(build=build)

    async def SteerBuild(self, request: pb.SteerBuildRequest, context: Context) -> pb.SteerBuildResponse:
        self.told.append(("steer", request.text))
        return pb.SteerBuildResponse(build=self._build(request.build_id))

    async def PauseBuild(self, request: pb.PauseBuildRequest, context: Context) -> pb.PauseBuildResponse:
        build = self._build(request.build_id)
        build.state = pb.Build.PAUSED
        return pb.PauseBuildResponse(build=build)

    async def ResumeBuild(self, request: pb.ResumeBuildRequest, context: Context) -> pb.ResumeBuildResponse:
        build = self._build(request.build_id)
        build.state = pb.Build.QUEUED
        return pb.ResumeBuildResponse(build=build)

    async def ForkBuild(self, request: pb.ForkBuildRequest, context: Context) -> pb.ForkBuildResponse:
        origin = self._build(request.build_id)
        build = self.new_build(user_id=origin.user_id, project_id=origin.project_id)
        build.origin_build_id, build.origin_turn = origin.build_id, request.at_turn
        return pb.ForkBuildResponse(build=build)

    async def ListTurns(self, request: pb.ListTurnsRequest, context: Context) -> pb.ListTurnsResponse:
        return pb.ListTurnsResponse(turns=self.turns[self._build(request.build_id).build_id])

    async def DiffTurns(self, request: pb.DiffTurnsRequest, context: Context) -> pb.DiffTurnsResponse:
        self._build(request.build_id)
        return self.difference

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: Context) -> pb.DeleteProjectResponse:
        """All but the first request for a deletion are told that nothing is left."""
        self.told.append(("delete", request.project_id))
        done = self.told.count(("delete", request.project_id)) > 1
        response = pb.DeleteProjectResponse()
        response.delete_time.FromDatetime(BEGAN)
        if done:
            response.purge_time.FromDatetime(BEGAN)
        return response

    async def InspectBuild(self, request: pb.InspectBuildRequest, context: Context) -> pb.InspectBuildResponse:
        return pb.InspectBuildResponse(state=self._build(request.build_id).state, epoch=1, ticketed=True)

    def _build(self, build_id: str) -> pb.Build:
        if build_id not in self.builds:
            raise BuildNotFound(f"no build has the id {build_id}")
        return self.builds[build_id]


@asynccontextmanager
async def serving(recorded: RecordedOrchestrator, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """The recorded orchestrator behind a real socket; yields its address."""
    add = partial(add_OrchestratorServiceServicer_to_server, recorded)
    registration = Registration(RecordedOrchestrator.SERVICE, add)
    async with running_server(services=[registration], token=TOKEN, listen=listen, drain_seconds=0) as address:
        yield address


def seconds_in(seconds: float) -> Timestamp:
    """A point in time this long after the beginning of the recording."""
    stamp = Timestamp()
    stamp.FromMicroseconds(int((BEGAN.timestamp() + seconds) * 1_000_000))
    return stamp


def story() -> list[pb.Event]:
    """A short build: two turns, a tool that fails, one that works, a good end."""
    running = pb.Event.StateChanged(to=pb.Build.RUNNING, reason="claimed")
    setattr(running, "from", pb.Build.QUEUED)  # a word of Python's
    return [
        pb.Event(state_changed=running),
        pb.Event(
            log_sequence=3,
            turn_taken=pb.Event.TurnTaken(turn=1, text="Look around.", prompt_tokens=900, output_tokens=40),
        ),
        pb.Event(log_sequence=3, tool_called=pb.Event.ToolCalled(op_id="b/1/0/1", tool="bash", summary="ls")),
        pb.Event(
            log_sequence=4,
            tool_answered=pb.Event.ToolAnswered(op_id="b/1/0/1", tool="bash", failed=True, text="no such\nfile"),
        ),
        pb.Event(
            log_sequence=5,
            turn_taken=pb.Event.TurnTaken(turn=2, prompt_tokens=12_345, cache_read_tokens=900, output_tokens=7),
        ),
        pb.Event(log_sequence=5, narrated=pb.Event.Narrated(message="I write \x1b[31mthe\x07 shop now.")),
        pb.Event(log_sequence=5, documented=pb.Event.Documented(section="overview")),
        pb.Event(
            log_sequence=7,
            ended=pb.Event.Ended(
                state=pb.Build.SUCCEEDED,
                message="The shop runs.",
                verification_command="python -m unittest",
                verification_outcome="9 passed",
                preview_port=8000,
            ),
        ),
    ]
