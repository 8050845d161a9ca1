"""The parts of the checkpoint service and how they fit together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from taor.checkpoint.v1.checkpoint_pb2_grpc import add_CheckpointServiceServicer_to_server

from taor_chassis.clock import SystemClock
from taor_chassis.database import running_pool
from taor_chassis.server import Registration
from taor_checkpoint.config import CheckpointConfig
from taor_checkpoint.deletion import Deletions
from taor_checkpoint.envelope import Key
from taor_checkpoint.forks import Forks
from taor_checkpoint.history import History
from taor_checkpoint.inspection import Inspection
from taor_checkpoint.keyring import Keyring
from taor_checkpoint.service import CheckpointService
from taor_checkpoint.store.deletions import DeletionStore
from taor_checkpoint.store.entries import EntryStore
from taor_checkpoint.store.forks import ForkStore
from taor_checkpoint.store.sessions import SessionStore

SERVICE_NAME = "taor.checkpoint.v1.CheckpointService"


@asynccontextmanager
async def app(config: CheckpointConfig, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """Open the parts, hand the service over, and close them at the end."""
    async with running_pool(config.dsn, max_size=config.pool_size) as pool, asyncio.TaskGroup() as background:
        sessions, entries = SessionStore(pool), EntryStore(pool)
        keyring = Keyring(sessions, Key(config.master_secret), SystemClock())
        history = History(sessions, entries, keyring)
        deletions = Deletions(DeletionStore(pool), keyring, config.retention)
        inspection = Inspection(sessions, entries, history)
        service = CheckpointService(history, Forks(ForkStore(pool)), inspection, deletions)
        deleting = background.create_task(deletions.run())
        try:
            yield [Registration(SERVICE_NAME, partial(add_CheckpointServiceServicer_to_server, service))]
        finally:
            deleting.cancel()
