"""The parts of the orchestrator and how they fit together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg
from taor.orchestrator.v1.orchestrator_pb2_grpc import add_OrchestratorServiceServicer_to_server

from taor_chassis.client import open_channel
from taor_chassis.clock import SystemClock, SystemIds
from taor_chassis.database import running_pool
from taor_chassis.server import Registration
from taor_orchestrator.account_watch import AccountWatch
from taor_orchestrator.build import Claim, Ending
from taor_orchestrator.clients.accounts import AccountsClient
from taor_orchestrator.clients.admission import AdmissionClient
from taor_orchestrator.clients.budget import BudgetClient
from taor_orchestrator.clients.checkpoint import CheckpointClient
from taor_orchestrator.clients.deletion import DeletionClient
from taor_orchestrator.clients.forks import InheritanceClient
from taor_orchestrator.clients.sandbox import SandboxClient
from taor_orchestrator.config import OrchestratorConfig
from taor_orchestrator.deletion import Projects
from taor_orchestrator.dispatch.lease import LEASE_SECONDS
from taor_orchestrator.dispatch.rows import RowDispatch
from taor_orchestrator.feed import EventHub, Feeds
from taor_orchestrator.forks import Forks
from taor_orchestrator.lineage import Lineage
from taor_orchestrator.livetext import LiveText
from taor_orchestrator.loop import run
from taor_orchestrator.model import open_model
from taor_orchestrator.model.port import Model
from taor_orchestrator.ports import Budget, Checkpoint, Lease, Ports, Sandbox
from taor_orchestrator.service import OrchestratorService
from taor_orchestrator.store.builds import BuildStore
from taor_orchestrator.store.events import EventStore
from taor_orchestrator.store.forks import ForkStore
from taor_orchestrator.store.inbox import InboxStore
from taor_orchestrator.store.leases import LeaseStore
from taor_orchestrator.store.projection import BuildRow
from taor_orchestrator.store.projects import ProjectStore
from taor_orchestrator.store.resting import RestingStore
from taor_orchestrator.watch import Watch

SERVICE_NAME = "taor.orchestrator.v1.OrchestratorService"


@asynccontextmanager
async def app(config: OrchestratorConfig, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """Open the parts, hand the service over, work on builds meanwhile, and close everything at the end."""
    async with AsyncExitStack() as parts:
        pool = await parts.enter_async_context(running_pool(config.dsn, max_size=config.pool_size))
        channel = partial(open_channel, token=config.token)
        # Heartbeats never wait behind the statements of hundreds of builds.
        lease_pool = await parts.enter_async_context(running_pool(config.dsn, max_size=2))
        budget = await parts.enter_async_context(channel(config.budget))
        checkpoint = await parts.enter_async_context(channel(config.checkpoint))
        sandbox = await parts.enter_async_context(channel(config.sandbox))
        model = open_model(api_key=config.model_key, base_url=config.model_url)
        parts.push_async_callback(model.close)

        clock, ids, hub, live = SystemClock(), SystemIds(), EventHub(), LiveText()
        tenures = Tenures(
            pool=pool,
            hub=hub,
            live=live,
            model=model,
            checkpoint=CheckpointClient(checkpoint),
            budget=BudgetClient(budget, clock),
            sandbox=SandboxClient(sandbox),
            clock=clock,
        )
        builds = BuildStore(pool)
        leases = LeaseStore(lease_pool, owner=ids.uuid7(), lease_seconds=LEASE_SECONDS)
        dispatch = RowDispatch(config.dsn, builds, leases, clock, config.slots)
        watch = Watch(Feeds(EventStore(pool), hub, stopping), live, stopping)
        inheritance = InheritanceClient(checkpoint, sandbox)
        admission, lineage = AdmissionClient(budget), Lineage(builds, inheritance)
        forks = Forks(builds, ForkStore(pool, builds), lineage, inheritance, admission, ids)
        inbox = InboxStore(pool, builds)
        projects = Projects(ProjectStore(pool), DeletionClient(checkpoint, sandbox))
        service = OrchestratorService(builds, inbox, dispatch, admission, watch, ids, forks, lineage, projects)

        async with asyncio.TaskGroup() as beside:
            beside.create_task(dispatch.run(tenures.work, stopping))
            beside.create_task(projects.run(stopping))
            beside.create_task(AccountWatch(AccountsClient(budget), RestingStore(pool)).run(stopping))
            beside.create_task(forks.run(stopping))
            yield [Registration(SERVICE_NAME, partial(add_OrchestratorServiceServicer_to_server, service))]
            stopping.set()


@dataclass(frozen=True, slots=True)
class Tenures:
    """What every tenure of this process shares."""

    pool: asyncpg.Pool
    hub: EventHub
    live: LiveText
    model: Model
    checkpoint: Checkpoint
    budget: Budget
    sandbox: Sandbox
    clock: SystemClock

    async def work(self, claim: Claim, lease: Lease) -> Ending:
        """One tenure of one build."""
        ports = Ports(
            model=self.model,
            checkpoint=self.checkpoint,
            budget=self.budget,
            sandbox=self.sandbox,
            builds=BuildRow(self.pool, self.hub.tell),
            lease=lease,
            clock=self.clock,
            voice=self.live,
        )
        return await run(claim, ports)
