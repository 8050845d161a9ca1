"""The calls of the orchestrator over a real socket: what they take, what they refuse, and what a repeat gives."""

import asyncio
import uuid

import grpc
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from taor_chassis.boundary import error_info
from tests.service.orchestrator.conftest import TOKEN, Orchestrator, order, running_orchestrator
from tests.support.postgres import MigratedDatabase


async def refusal(call: object) -> tuple[grpc.StatusCode, str]:
    """The status and the reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc] # a call of any method
    info = error_info(caught.value)
    return caught.value.code(), info.reason if info else ""


async def test_a_build_is_started_shown_and_listed(orchestrator: Orchestrator) -> None:
    started = (await orchestrator.stub.StartBuild(order())).build
    assert started.state == pb.Build.QUEUED
    assert (started.user_id, started.project_id, started.tier) == ("ada", "hello", "partner")
    assert started.model
    shown = (await orchestrator.stub.GetBuild(pb.GetBuildRequest(build_id=started.build_id))).build
    assert shown == started
    listed = await orchestrator.stub.ListBuilds(pb.ListBuildsRequest(user_id="ada", project_id="hello"))
    assert list(listed.builds) == [started]


async def test_the_same_request_is_the_same_build_also_at_the_same_moment(orchestrator: Orchestrator) -> None:
    answers = await asyncio.gather(*(orchestrator.stub.StartBuild(order()) for _ in range(8)))
    assert len({answer.build.build_id for answer in answers}) == 1
    assert await orchestrator.pool.fetchval("SELECT count(*) FROM builds") == 1


async def test_the_same_request_is_the_same_build_after_a_restart(migrated_database: MigratedDatabase) -> None:
    dsn, budget_dsn = migrated_database("taor_orchestrator"), migrated_database("taor_budget")
    async with running_orchestrator(dsn, budget_dsn) as first:
        started = (await first.stub.StartBuild(order())).build
    async with running_orchestrator(dsn, budget_dsn) as second:
        assert (await second.stub.StartBuild(order())).build.build_id == started.build_id
        again = refusal(second.stub.StartBuild(order(brief="Say goodbye.")))
        assert await again == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"request_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING"),
        ({"user_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING"),
        ({"user_id": "a\nb"}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"project_id": "x" * 129}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_TOO_LARGE"),
        ({"brief": ""}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING"),
        ({"brief": "a\0b"}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"brief": "x" * (1024 * 1024)}, grpc.StatusCode.INVALID_ARGUMENT, "BRIEF_TOO_LARGE"),
        ({"plan": "x" * (1024 * 1024)}, grpc.StatusCode.INVALID_ARGUMENT, "BRIEF_TOO_LARGE"),
        ({"clarifications": [pb.Clarification()] * 201}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        ({"tier": "gold"}, grpc.StatusCode.INVALID_ARGUMENT, "TIER_UNKNOWN"),
        ({"model": "gpt-1"}, grpc.StatusCode.INVALID_ARGUMENT, "MODEL_UNKNOWN"),
        (
            {"tier": "bootstrapper", "model": "claude-fable-5-2"},
            grpc.StatusCode.FAILED_PRECONDITION,
            "MODEL_NOT_ALLOWED",
        ),
    ],
)
async def test_a_build_that_cannot_be_is_refused_with_its_reason(
    orchestrator: Orchestrator, changes: dict[str, object], status: grpc.StatusCode, reason: str
) -> None:
    assert await refusal(orchestrator.stub.StartBuild(order(**changes))) == (status, reason)
    assert await orchestrator.pool.fetchval("SELECT count(*) FROM builds") == 0


async def test_another_tier_than_the_account_has_is_refused(orchestrator: Orchestrator) -> None:
    await orchestrator.stub.StartBuild(order())
    other = refusal(orchestrator.stub.StartBuild(order(request_id="order-2", tier="cto_scale")))
    assert await other == (grpc.StatusCode.FAILED_PRECONDITION, "PLAN_MISMATCH")


async def test_what_is_not_there_is_not_found(orchestrator: Orchestrator) -> None:
    nowhere, stub = str(uuid.uuid4()), orchestrator.stub
    missing = (grpc.StatusCode.NOT_FOUND, "BUILD_NOT_FOUND")
    assert await refusal(stub.GetBuild(pb.GetBuildRequest(build_id=nowhere))) == missing
    assert await refusal(stub.InspectBuild(pb.InspectBuildRequest(build_id=nowhere))) == missing
    assert await refusal(stub.CancelBuild(pb.CancelBuildRequest(build_id=nowhere, request_id="c"))) == missing
    assert await refusal(stub.WatchBuild(pb.WatchBuildRequest(build_id=nowhere)).read()) == missing
    malformed = (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert await refusal(stub.GetBuild(pb.GetBuildRequest(build_id="x"))) == malformed


async def test_pages_of_builds_have_neither_gap_nor_overlap(orchestrator: Orchestrator) -> None:
    started = [(await orchestrator.stub.StartBuild(order(request_id=str(n)))).build.build_id for n in range(5)]
    listed: list[str] = []
    token = ""
    while True:
        page = await orchestrator.stub.ListBuilds(pb.ListBuildsRequest(page_size=2, page_token=token))
        listed += [build.build_id for build in page.builds]
        token = page.next_page_token
        if not token:
            break
    assert listed == started[::-1]
    wrong = refusal(orchestrator.stub.ListBuilds(pb.ListBuildsRequest(page_token="x")))
    assert await wrong == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_a_cancellation_is_sent_once(orchestrator: Orchestrator) -> None:
    build = (await orchestrator.stub.StartBuild(order())).build
    for request_id in ("c-1", "c-1", "c-2"):
        await orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=build.build_id, request_id=request_id))
    inspected = await orchestrator.stub.InspectBuild(pb.InspectBuildRequest(build_id=build.build_id))
    assert [item.kind for item in inspected.inbox] == [pb.InboxItem.CANCEL]
    other = (await orchestrator.stub.StartBuild(order(request_id="order-2"))).build
    wrong = refusal(orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=other.build_id, request_id="c-1")))
    assert await wrong == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")


async def test_another_tenant_sees_nothing(orchestrator: Orchestrator) -> None:
    build = (await orchestrator.stub.StartBuild(order())).build
    await orchestrator.pool.execute("UPDATE builds SET tenant_id = 'other'")
    assert (await refusal(orchestrator.stub.GetBuild(pb.GetBuildRequest(build_id=build.build_id))))[
        1
    ] == "BUILD_NOT_FOUND"
    assert not (await orchestrator.stub.ListBuilds(pb.ListBuildsRequest())).builds


async def test_without_token_or_deadline_nothing_is_answered(orchestrator: Orchestrator) -> None:
    async with grpc.aio.insecure_channel(orchestrator.address) as channel:
        stub, request = OrchestratorServiceStub(channel), pb.ListBuildsRequest()
        assert (await refusal(stub.ListBuilds(request, timeout=5)))[1] == "TOKEN_MISSING"
        wrong = [("authorization", "Bearer wrong")]
        assert (await refusal(stub.ListBuilds(request, timeout=5, metadata=wrong)))[1] == "TOKEN_INVALID"
        right = [("authorization", f"Bearer {TOKEN}")]
        assert (await refusal(stub.ListBuilds(request, metadata=right)))[1] == "DEADLINE_REQUIRED"
