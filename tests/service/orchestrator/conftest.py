"""The orchestrator and the budget over real sockets and databases, from their production graphs; no worker runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from taor_budget.app import open_app as budget_app
from taor_budget.config import BudgetConfig
from taor_chassis.client import open_channel
from taor_chassis.config import load
from taor_chassis.server import running_server
from taor_orchestrator.app import app as orchestrator_app
from taor_orchestrator.config import OrchestratorConfig
from tests.support.postgres import MigratedDatabase

if TYPE_CHECKING:
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub  # stands in the stubs only

TOKEN = "a-token-for-tests"
NOWHERE = "127.0.0.1:1"


@dataclass(frozen=True)
class Orchestrator:
    """A running orchestrator, and the way into its database."""

    address: str
    stub: "OrchestratorServiceAsyncStub"
    pool: asyncpg.Pool
    dsn: str


@pytest.fixture
async def orchestrator(migrated_database: MigratedDatabase) -> AsyncIterator[Orchestrator]:
    """An orchestrator that admits and queues builds; with no slot, it leaves them to the test."""
    async with running_orchestrator(migrated_database("taor_orchestrator"), migrated_database("taor_budget")) as one:
        yield one


@asynccontextmanager
async def running_orchestrator(
    dsn: str, budget_dsn: str, checkpoint: str = NOWHERE, sandbox: str = NOWHERE
) -> AsyncIterator[Orchestrator]:
    """Both services, started as `serve` starts them."""
    async with AsyncExitStack() as parts:
        budget = await parts.enter_async_context(_budget(budget_dsn))
        config = load(
            OrchestratorConfig,
            {
                "TAOR_ORCHESTRATOR_LISTEN": "127.0.0.1:0",
                "TAOR_ORCHESTRATOR_DSN": dsn,
                "TAOR_ORCHESTRATOR_SLOTS": "0",
                "TAOR_TOKEN": TOKEN,
                "TAOR_BUDGET_TARGET": budget,
                "TAOR_CHECKPOINT_TARGET": checkpoint,
                "TAOR_SANDBOX_TARGET": sandbox,
                "ANTHROPIC_API_KEY": "unused",
            },
        )
        stopping = asyncio.Event()
        services = await parts.enter_async_context(orchestrator_app(config, stopping))
        server = running_server(services=services, token=TOKEN, stopping=stopping, drain_seconds=1)
        address = await parts.enter_async_context(server)
        channel = await parts.enter_async_context(open_channel(address, token=TOKEN))
        pool = await parts.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=4))
        yield Orchestrator(address, OrchestratorServiceStub(channel), pool, dsn)


@asynccontextmanager
async def _budget(dsn: str) -> AsyncIterator[str]:
    environ = {
        "TAOR_BUDGET_LISTEN": "127.0.0.1:0",
        "TAOR_BUDGET_DSN": dsn,
        "TAOR_TOKEN": TOKEN,
        "TAOR_BUDGET_CREATE_ACCOUNTS": "true",
    }
    stopping = asyncio.Event()
    async with (
        budget_app(load(BudgetConfig, environ), stopping) as services,
        running_server(services=services, token=TOKEN, stopping=stopping, drain_seconds=1) as address,
    ):
        yield address


def order(**changes: object) -> pb.StartBuildRequest:
    """A StartBuild that is accepted, with changes."""
    fields: dict[str, object] = {
        "request_id": "order-1",
        "user_id": "ada",
        "project_id": "hello",
        "tier": "partner",
        "brief": "Say hello.",
        "clarifications": [pb.Clarification(question="To whom?", answer="The world.")],
        "plan": "One step.",
    }
    return pb.StartBuildRequest(**(fields | changes))  # type: ignore[arg-type] # the fields of the message, by name
