"""Admission of a new build, at the budget service: the plan decides on model, concurrency and priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1 import budget_pb2_grpc

from taor_chassis.boundary import error_info
from taor_orchestrator.errors import ModelNotAllowed, ModelUnknown, NotAdmitted, PlanMismatch, TierUnknown

_REFUSALS: Mapping[str, type[NotAdmitted]] = {
    "TIER_UNKNOWN": TierUnknown,
    "PLAN_MISMATCH": PlanMismatch,
    "ACCOUNT_NOT_FOUND": PlanMismatch,
    "MODEL_UNKNOWN": ModelUnknown,
    "MODEL_NOT_ALLOWED": ModelNotAllowed,
}


@dataclass(frozen=True, slots=True)
class Admission:
    """What the plan grants to a build, for good."""

    model: str
    tier: str
    max_concurrent_builds: int
    priority: int
    max_output_tokens: int


class AdmissionClient:
    """Asks the budget service whether a user's plan admits a build."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: budget_pb2_grpc.BudgetServiceAsyncStub = budget_pb2_grpc.BudgetServiceStub(channel)

    async def admit(self, build_id: str, user_id: str, tier: str, model: str) -> Admission:
        """The admission; raises `NotAdmitted` with a message for the user."""
        request = pb.AdmitBuildRequest(build_id=build_id, user_id=user_id, tier=tier, model=model)
        try:
            response = await self._stub.AdmitBuild(request)
        except grpc.aio.AioRpcError as error:
            info = error_info(error)
            if info is None or info.reason not in _REFUSALS:
                raise
            raise _REFUSALS[info.reason](error.details() or "", **info.metadata) from error
        return Admission(
            model=response.model,
            tier=response.tier,
            max_concurrent_builds=response.max_concurrent_builds,
            priority=response.priority,
            max_output_tokens=response.max_output_tokens,
        )
