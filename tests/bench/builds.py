"""Starts scripted builds on an installation, as any client does, and waits for their end."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from taor.orchestrator.v1 import orchestrator_pb2 as pb

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub

MODEL = "claude-sonnet-5-5"
TIER = "cto_scale"
BUILDS_PER_USER = 10  # what this tier lets run at once
POLL_SECONDS = 0.2
LONGEST_SECONDS = 900.0
ENDED = (pb.Build.SUCCEEDED, pb.Build.FAILED, pb.Build.CANCELLED)


class BuildFailed(Exception):
    """A build did not succeed, so there is nothing to measure."""


class Builds:
    """The builds of one benchmark; each tenth one belongs to another user, so that no plan holds one back."""

    def __init__(self, orchestrator: "OrchestratorServiceAsyncStub") -> None:
        self._orchestrator = orchestrator
        self._numbers = itertools.count()
        self._mark = secrets.token_hex(4)

    async def start(self, script: str) -> pb.Build:
        """Queue a build that plays a script of the scripted model."""
        number = next(self._numbers)
        request = pb.StartBuildRequest(
            request_id=f"bench-{self._mark}-{number}",
            user_id=f"bench-{self._mark}-{number // BUILDS_PER_USER}",
            project_id=f"bench-{self._mark}-{number}",
            tier=TIER,
            brief=f"A measurement.\ntaor-script: {script}\n",
            model=MODEL,
        )
        response: pb.StartBuildResponse = await self._orchestrator.StartBuild(request)
        return response.build

    async def finish(self, builds: Sequence[pb.Build]) -> list[pb.Build]:
        """Wait until all have ended, in their order. Raises BuildFailed, and TimeoutError after 15 minutes."""
        deadline = time.monotonic() + LONGEST_SECONDS
        finished = []
        for build in builds:
            while build.state not in ENDED:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"build {build.build_id} has not ended")
                await asyncio.sleep(POLL_SECONDS)
                build = await self._get(build.build_id)
            if build.state != pb.Build.SUCCEEDED:
                raise BuildFailed(f"build {build.build_id} {pb.Build.State.Name(build.state)}: {build.outcome_message}")
            finished.append(build)
        return finished

    async def take_overs(self, builds: Sequence[pb.Build]) -> int:
        """How often a build went on under another claim than its first, though nobody was killed."""
        inspected = [
            await self._orchestrator.InspectBuild(pb.InspectBuildRequest(build_id=build.build_id)) for build in builds
        ]
        return sum(each.epoch - 1 for each in inspected)

    async def _get(self, build_id: str) -> pb.Build:
        response: pb.GetBuildResponse = await self._orchestrator.GetBuild(pb.GetBuildRequest(build_id=build_id))
        return response.build


def running_seconds(builds: Sequence[pb.Build]) -> float:
    """From the first start to the last end, by the orchestrator's own clock."""
    first = min(build.create_time.ToNanoseconds() for build in builds)
    return (max(build.end_time.ToNanoseconds() for build in builds) - first) / 1e9
