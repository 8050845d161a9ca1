"""WakeBuild over a real socket: what it does in each state, once for each request."""

import uuid

import grpc
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from tests.service.orchestrator.conftest import Orchestrator, order
from tests.service.orchestrator.test_api import refusal

STATES = {
    "SLEEPING": "state = 'SLEEPING', due_at = NULL, wake_at = taor_now() + interval '1 day'",
    "WAITING_BUDGET": "state = 'WAITING_BUDGET', due_at = NULL, wake_at = taor_now() + interval '1 day'",
    "RUNNING": "state = 'RUNNING', due_at = NULL, lease_owner = 'o', lease_until = taor_now() + interval '1 day'",
    "SUCCEEDED": "state = 'SUCCEEDED', due_at = NULL, ended_at = taor_now()",
}


async def start(orchestrator: Orchestrator, state: str, request_id: str = "order-1") -> str:
    """A build in this state."""
    build_id = (await orchestrator.stub.StartBuild(order(request_id=request_id))).build.build_id
    await orchestrator.pool.execute(
        f"UPDATE builds SET {STATES[state]} WHERE build_id = $1 AND tenant_id = 'local'", uuid.UUID(build_id)
    )
    return build_id


async def wake(orchestrator: Orchestrator, build_id: str, request_id: str = "wake-1") -> pb.Build:
    """Wake a build."""
    return (await orchestrator.stub.WakeBuild(pb.WakeBuildRequest(build_id=build_id, request_id=request_id))).build


async def generation(orchestrator: Orchestrator, build_id: str) -> int:
    """How often the build was woken."""
    return (await orchestrator.stub.InspectBuild(pb.InspectBuildRequest(build_id=build_id))).wake_generation


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        ("SLEEPING", pb.Build.QUEUED, 1),
        ("WAITING_BUDGET", pb.Build.QUEUED, 1),
        ("RUNNING", pb.Build.RUNNING, 1),
        ("SUCCEEDED", pb.Build.SUCCEEDED, 0),
    ],
)
async def test_who_rests_is_queued_and_who_has_ended_is_left_alone(
    orchestrator: Orchestrator, before: str, after: pb.Build.State.ValueType, woken: int
) -> None:
    build_id = await start(orchestrator, before)
    assert (await wake(orchestrator, build_id)).state == after
    assert await generation(orchestrator, build_id) == woken


async def test_a_request_wakes_once(orchestrator: Orchestrator) -> None:
    build_id = await start(orchestrator, "SLEEPING")
    for _ in range(3):
        await wake(orchestrator, build_id)
    assert await generation(orchestrator, build_id) == 1
    await wake(orchestrator, build_id, "wake-2")
    assert await generation(orchestrator, build_id) == 2


async def test_the_id_of_another_request_wakes_nobody(orchestrator: Orchestrator) -> None:
    first, second = await start(orchestrator, "SLEEPING"), await start(orchestrator, "SLEEPING", "order-2")
    await wake(orchestrator, first)
    conflict = (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")
    assert await refusal(wake(orchestrator, second)) == conflict
    assert await generation(orchestrator, second) == 0
    await orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=first, request_id="cancel-1"))
    assert (
        await refusal(orchestrator.stub.CancelBuild(pb.CancelBuildRequest(build_id=second, request_id="cancel-1")))
        == conflict
    )
    assert not (await orchestrator.stub.InspectBuild(pb.InspectBuildRequest(build_id=second))).inbox


async def test_only_what_is_there_can_be_woken(orchestrator: Orchestrator) -> None:
    nowhere = str(uuid.uuid4())
    assert await refusal(wake(orchestrator, nowhere)) == (grpc.StatusCode.NOT_FOUND, "BUILD_NOT_FOUND")
    unnamed = refusal(wake(orchestrator, nowhere, ""))
    assert await unnamed == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING")
