"""The gRPC face of the orchestrator: messages in, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
from taor.orchestrator.v1 import orchestrator_pb2 as pb
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceServicer

from taor_chassis.clock import Ids
from taor_chassis.errors import DependencyUnavailable
from taor_chassis.identity import current_caller
from taor_chassis.validation import require_between, within
from taor_orchestrator import translate
from taor_orchestrator.clients.admission import AdmissionClient
from taor_orchestrator.deletion import Projects
from taor_orchestrator.dispatch.port import Dispatch
from taor_orchestrator.errors import BuildNotFound
from taor_orchestrator.forks import Forks
from taor_orchestrator.inbox import TextKind
from taor_orchestrator.lineage import Lineage
from taor_orchestrator.livetext import Piece
from taor_orchestrator.store.builds import BuildStore, NewBuild, StoredBuild
from taor_orchestrator.store.inbox import InboxStore
from taor_orchestrator.store.projects import ProjectId
from taor_orchestrator.watch import Watch

_Context = grpc.aio.ServicerContext[object, object]


class OrchestratorService(OrchestratorServiceServicer):
    """Answers the calls of `taor.orchestrator.v1.OrchestratorService`."""

    def __init__(
        self,
        builds: BuildStore,
        inbox: InboxStore,
        dispatch: Dispatch,
        admission: AdmissionClient,
        watch: Watch,
        ids: Ids,
        forks: Forks,
        lineage: Lineage,
        projects: Projects,
    ) -> None:
        self._builds = builds
        self._inbox = inbox
        self._dispatch = dispatch
        self._admission = admission
        self._watch = watch
        self._ids = ids
        self._forks = forks
        self._lineage = lineage
        self._projects = projects

    async def StartBuild(self, request: pb.StartBuildRequest, context: _Context) -> pb.StartBuildResponse:
        """Admit a build at the budget and queue it, once."""
        ours, assignment = translate.start_of(request)
        tenant_id = current_caller().tenant_id
        build_id = await self._builds.find_request(tenant_id, ours)
        if build_id is None:
            build_id = self._ids.uuid7()
            admission = await self._admission.admit(build_id, request.user_id, request.tier, request.model)
            new_build = NewBuild(
                build_id=build_id,
                tenant_id=tenant_id,
                user_id=request.user_id,
                project_id=request.project_id,
                tier=admission.tier,
                model=admission.model,
                max_output_tokens=admission.max_output_tokens,
                max_concurrent_builds=admission.max_concurrent_builds,
                priority=admission.priority,
                assignment=assignment,
            )
            build_id = await self._dispatch.submit(new_build, ours)
        return pb.StartBuildResponse(build=translate.wire_build(await self._found(build_id)))

    async def GetBuild(self, request: pb.GetBuildRequest, context: _Context) -> pb.GetBuildResponse:
        """Tell where a build stands, with its documentation."""
        build = await self._found(translate.build_id_of(request.build_id))
        documents = await self._builds.documents(current_caller().tenant_id, build.build_id)
        question = await self._inbox.question(current_caller().tenant_id, build.build_id)
        return pb.GetBuildResponse(build=translate.wire_build(build, documents, question))

    async def ListBuilds(self, request: pb.ListBuildsRequest, context: _Context) -> pb.ListBuildsResponse:
        """List builds, newest first."""
        before, limit = translate.page_of(request)
        user_id = within("user_id", request.user_id, max_bytes=translate.MAX_ID_BYTES)
        project_id = within("project_id", request.project_id, max_bytes=translate.MAX_ID_BYTES)
        tenant_id = current_caller().tenant_id
        builds = await self._builds.list(tenant_id, user_id, project_id, before, limit + 1)
        page = builds[:limit]
        more = page[-1].build_id if len(builds) > limit else ""
        return pb.ListBuildsResponse(builds=map(translate.wire_build, page), next_page_token=more)

    async def WatchBuild(
        self, request: pb.WatchBuildRequest, context: _Context
    ) -> AsyncIterator[pb.WatchBuildResponse]:
        """Stream the events of a build until it has ended; a process that stops sends its watchers to another."""
        build = await self._found(translate.build_id_of(request.build_id))
        after = require_between("after_sequence", request.after_sequence, 0, build.event_sequence)
        if build.state.has_ended and after == build.event_sequence:
            return
        follow = self._watch.follow_with_text if request.include_text_deltas else self._watch.follow
        async for news in follow(current_caller().tenant_id, build.build_id, after):
            if isinstance(news, Piece):
                yield pb.WatchBuildResponse(text_delta=translate.wire_piece(news))
                continue
            for event in map(translate.wire_event, news):
                yield pb.WatchBuildResponse(event=event)
                if translate.is_terminal(event):
                    return
        raise DependencyUnavailable("this replica stops; watch again from the last sequence you have seen")

    async def CancelBuild(self, request: pb.CancelBuildRequest, context: _Context) -> pb.CancelBuildResponse:
        """Cancel a build; one that has ended stays as it is."""
        build_id = translate.build_id_of(request.build_id)
        ours = translate.request_of("CancelBuild", request.request_id, build_id)
        build = await self._found(build_id)
        await self._dispatch.cancel(current_caller().tenant_id, build.build_id, self._ids.uuid7(), ours)
        return pb.CancelBuildResponse(build=translate.wire_build(await self._found(build.build_id)))

    async def WakeBuild(self, request: pb.WakeBuildRequest, context: _Context) -> pb.WakeBuildResponse:
        """Let a resting build look for money now; one that runs looks once more before it rests."""
        build_id = translate.build_id_of(request.build_id)
        ours = translate.request_of("WakeBuild", request.request_id, build_id)
        build = await self._found(build_id)
        await self._dispatch.wake(current_caller().tenant_id, build.build_id, "woken by hand", ours)
        return pb.WakeBuildResponse(build=translate.wire_build(await self._found(build.build_id)))

    async def AnswerBuild(self, request: pb.AnswerBuildRequest, context: _Context) -> pb.AnswerBuildResponse:
        """Answer the open question of a build, once; it goes on with that."""
        ours = await self._send("AnswerBuild", TextKind.ANSWER, request)
        return pb.AnswerBuildResponse(build=translate.wire_build(ours))

    async def SteerBuild(self, request: pb.SteerBuildRequest, context: _Context) -> pb.SteerBuildResponse:
        """Tell the agent something; it reads it before its next call."""
        ours = await self._send("SteerBuild", TextKind.STEER, request)
        return pb.SteerBuildResponse(build=translate.wire_build(ours))

    async def PauseBuild(self, request: pb.PauseBuildRequest, context: _Context) -> pb.PauseBuildResponse:
        """Pause a build at the end of its turn."""
        build_id = translate.build_id_of(request.build_id)
        ours = translate.request_of("PauseBuild", request.request_id, build_id)
        build = await self._found(build_id)
        await self._inbox.pause(current_caller().tenant_id, build.build_id, ours)
        return pb.PauseBuildResponse(build=translate.wire_build(await self._found(build_id)))

    async def ResumeBuild(self, request: pb.ResumeBuildRequest, context: _Context) -> pb.ResumeBuildResponse:
        """End the pause of a build."""
        build_id = translate.build_id_of(request.build_id)
        ours = translate.request_of("ResumeBuild", request.request_id, build_id)
        build = await self._found(build_id)
        await self._inbox.resume(current_caller().tenant_id, build.build_id, ours)
        return pb.ResumeBuildResponse(build=translate.wire_build(await self._found(build_id)))

    async def ForkBuild(self, request: pb.ForkBuildRequest, context: _Context) -> pb.ForkBuildResponse:
        """Start a build from a turn of another one, once."""
        ours, order = translate.fork_of(request)
        await self._found(order.build_id)
        build_id = await self._forks.make(current_caller().tenant_id, order, ours)
        return pb.ForkBuildResponse(build=translate.wire_build(await self._found(build_id)))

    async def ListTurns(self, request: pb.ListTurnsRequest, context: _Context) -> pb.ListTurnsResponse:
        """The closed turns of a build."""
        build = await self._found(translate.build_id_of(request.build_id))
        turns = await self._lineage.turns(current_caller().tenant_id, build)
        return pb.ListTurnsResponse(turns=[translate.wire_turn(build.build_id, each) for each in turns])

    async def DiffTurns(self, request: pb.DiffTurnsRequest, context: _Context) -> pb.DiffTurnsResponse:
        """In which files two turns differ."""
        before, after = translate.turns_of(request)
        for each in (before, after):
            await self._found(each.build_id)
        return translate.wire_difference(await self._lineage.difference(current_caller().tenant_id, before, after))

    async def InspectBuild(self, request: pb.InspectBuildRequest, context: _Context) -> pb.InspectBuildResponse:
        """Tell a build's inner state, for audits."""
        build = await self._found(translate.build_id_of(request.build_id))
        inbox = await self._builds.inbox(current_caller().tenant_id, build.build_id)
        return translate.wire_inspection(build, inbox)

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: _Context) -> pb.DeleteProjectResponse:
        """Delete a project for good; what is left of it goes in the background."""
        project, request_id = translate.project_of(current_caller().tenant_id, request)
        return translate.wire_deletion(await self._projects.delete(project, request_id))

    async def _send(
        self, method: str, kind: TextKind, request: pb.AnswerBuildRequest | pb.SteerBuildRequest
    ) -> StoredBuild:
        """Put a text of a person into the inbox of a build, once; the build after it."""
        build_id, text = translate.build_id_of(request.build_id), translate.text_of(request.text)
        ours = translate.request_of(method, request.request_id, build_id, text)
        await self._found(build_id)
        await self._inbox.send(current_caller().tenant_id, build_id, self._ids.uuid7(), kind, text, ours)
        return await self._found(build_id)

    async def _found(self, build_id: str) -> StoredBuild:
        build = await self._builds.get(current_caller().tenant_id, build_id)
        if build is None:
            raise BuildNotFound(f"no build has the id {build_id}", build_id=build_id)
        if await self._projects.is_deleted(ProjectId(current_caller().tenant_id, build.project_id)):
            raise BuildNotFound(f"the build {build_id} was deleted with its project", build_id=build_id)
        return build
