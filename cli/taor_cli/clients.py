"""Open connections to the four services of one installation."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taor.budget.v1.budget_pb2_grpc import BudgetServiceStub
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceStub
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceStub

from taor_chassis.client import open_channel
from taor_cli.endpoints import Endpoints

if TYPE_CHECKING:  # the generated async stubs are types only
    from taor.budget.v1.budget_pb2_grpc import BudgetServiceAsyncStub
    from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceAsyncStub
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub
    from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Clients:
    """One stub for each service. Connections are made at the first call."""

    orchestrator: "OrchestratorServiceAsyncStub"
    budget: "BudgetServiceAsyncStub"
    checkpoint: "CheckpointServiceAsyncStub"
    sandbox: "SandboxServiceAsyncStub"


@asynccontextmanager
async def connect(endpoints: Endpoints) -> AsyncIterator[Clients]:
    """Connections that are closed at the end of the block."""
    async with AsyncExitStack() as stack:
        orchestrator, budget, checkpoint, sandbox = [
            await stack.enter_async_context(open_channel(target, token=endpoints.token))
            for target in (endpoints.orchestrator, endpoints.budget, endpoints.checkpoint, endpoints.sandbox)
        ]
        yield Clients(
            orchestrator=OrchestratorServiceStub(orchestrator),
            budget=BudgetServiceStub(budget),
            checkpoint=CheckpointServiceStub(checkpoint),
            sandbox=SandboxServiceStub(sandbox),
        )
