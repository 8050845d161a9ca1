"""The parts list of the sandbox service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from taor.sandbox.v1.sandbox_pb2_grpc import add_SandboxServiceServicer_to_server

from taor_chassis.database import running_pool
from taor_chassis.server import Registration
from taor_sandbox.backends.port import Backend, Limits
from taor_sandbox.config import BackendName, SandboxConfig
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.generations import Generations, Stores
from taor_sandbox.journal import Journal
from taor_sandbox.operations import Dispatcher
from taor_sandbox.redo import Redo
from taor_sandbox.restore import Restore
from taor_sandbox.service import SandboxService
from taor_sandbox.sessions import Sessions
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.operations import Operations
from taor_sandbox.store.sandboxes import Sandboxes

SERVICE_NAME = "taor.sandbox.v1.SandboxService"


@asynccontextmanager
async def application(config: SandboxConfig, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """Open the parts, yield the service, and close the parts after the server has stopped; sandboxes go on."""
    async with running_pool(config.dsn, max_size=config.pool_size) as pool, running_backend(config) as backend:
        builds, sandboxes, operations = Builds(pool), Sandboxes(pool), Operations(pool)
        sessions = Sessions(backend)
        journal, destroyer = Journal(builds), Destroyer(sandboxes, backend)
        generations = Generations(
            Stores(builds, sandboxes, operations), sessions, backend, Restore(), journal, Redo(operations), destroyer,
            creations=config.creations, limits=Limits(),
        )  # fmt: skip
        dispatcher = Dispatcher(builds, operations, sessions, generations, journal)
        service = SandboxService(
            builds, operations, generations, dispatcher, backend_name=config.backend.value, stopping=stopping
        )
        yield [Registration(SERVICE_NAME, partial(add_SandboxServiceServicer_to_server, service))]
        await sessions.close()


@asynccontextmanager
async def running_backend(config: SandboxConfig) -> AsyncIterator[Backend]:
    """The backend that the configuration names."""
    match config.backend:
        case BackendName.LOCAL:
            from taor_sandbox.backends.local.backend import open_backend

            backend = await open_backend(config.data)
    try:
        yield backend
    finally:
        await backend.close()
