"""Builds of one installation: start, look up, list, cancel."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli import translate
from taor_cli.builds import Build
from taor_cli.clarifications import Clarification
from taor_cli.exits import UsageError

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub

DEFAULT_USER = "me"
DEFAULT_TIER = "partner"
LATEST = "latest"
FULL_ID_LENGTH = 36
PAGE_SIZE = 200
MAX_LISTED = 2_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks to be built."""

    request_id: str
    user_id: str
    project_id: str
    tier: str
    brief: str
    clarifications: tuple[Clarification, ...]
    plan: str
    model: str = ""


class Orchestrator:
    """The orchestrator of one installation."""

    def __init__(self, stub: "OrchestratorServiceAsyncStub") -> None:
        self._stub = stub

    async def start(self, order: Order) -> Build:
        """Start a build; the same order again gives the same build."""
        request = pb.StartBuildRequest(
            request_id=order.request_id,
            user_id=order.user_id,
            project_id=order.project_id,
            tier=order.tier,
            brief=order.brief,
            clarifications=[pb.Clarification(question=it.question, answer=it.answer) for it in order.clarifications],
            plan=order.plan,
            model=order.model,
        )
        return translate.build((await self._stub.StartBuild(request)).build)

    async def get(self, build_id: str) -> Build:
        """Where a build stands."""
        return translate.build((await self._stub.GetBuild(pb.GetBuildRequest(build_id=build_id))).build)

    async def cancel(self, build_id: str, request_id: str) -> Build:
        """Cancel a build; it is CANCELLED a moment later."""
        request = pb.CancelBuildRequest(build_id=build_id, request_id=request_id)
        return translate.build((await self._stub.CancelBuild(request)).build)

    async def answer(self, build_id: str, request_id: str, text: str) -> Build:
        """Answer the open question of a build."""
        request = pb.AnswerBuildRequest(build_id=build_id, request_id=request_id, text=text)
        return translate.build((await self._stub.AnswerBuild(request)).build)

    async def steer(self, build_id: str, request_id: str, text: str) -> Build:
        """Tell the agent something."""
        request = pb.SteerBuildRequest(build_id=build_id, request_id=request_id, text=text)
        return translate.build((await self._stub.SteerBuild(request)).build)

    async def pause(self, build_id: str, request_id: str) -> Build:
        """Pause a build; one that is at work is PAUSED at the end of its turn."""
        request = pb.PauseBuildRequest(build_id=build_id, request_id=request_id)
        return translate.build((await self._stub.PauseBuild(request)).build)

    async def resume(self, build_id: str, request_id: str) -> Build:
        """End the pause of a build."""
        request = pb.ResumeBuildRequest(build_id=build_id, request_id=request_id)
        return translate.build((await self._stub.ResumeBuild(request)).build)

    async def wake(self, build_id: str, request_id: str) -> Build:
        """Let a resting build look for money."""
        request = pb.WakeBuildRequest(build_id=build_id, request_id=request_id)
        return translate.build((await self._stub.WakeBuild(request)).build)

    async def list(self, *, user_id: str = "", project_id: str = "", limit: int = MAX_LISTED) -> AsyncIterator[Build]:
        """Builds, newest first, at most `limit` of them."""
        request = pb.ListBuildsRequest(user_id=user_id, project_id=project_id, page_size=min(limit, PAGE_SIZE))
        given = 0
        while True:
            page = await self._stub.ListBuilds(request)
            for message in page.builds[: limit - given]:
                yield translate.build(message)
            given += len(page.builds)
            if not page.next_page_token or given >= limit:
                return
            request.page_token = page.next_page_token

    async def find(self, name: str) -> str:
        """The id of the build that a person means: `latest`, a whole id, or the beginning of one that fits no other."""
        if len(name) >= FULL_ID_LENGTH:
            return name
        if name == LATEST:
            async for build in self.list(limit=1):
                return build.build_id
            raise UsageError("there is no build yet", advice="start one with `taor demo` or `taor build`")
        matches = [build.build_id async for build in self.list() if build.build_id.startswith(name.lower())]
        return _only(name, matches)


def _only(name: str, matches: list[str]) -> str:
    match matches:
        case [build_id]:
            return build_id
        case []:
            raise UsageError(f"no build begins with {name!r}", advice="`taor list` shows the builds there are")
        case _:
            shown = ", ".join(matches[:4])
            raise UsageError(f"{len(matches)} builds begin with {name!r}: {shown}", advice="give more of the id")
