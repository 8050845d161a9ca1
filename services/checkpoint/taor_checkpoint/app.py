"""The parts of the checkpoint service and how they fit together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from taor.checkpoint.v1.checkpoint_pb2_grpc import add_CheckpointServiceServicer_to_server

from taor_chassis.database import running_pool
from taor_chassis.server import Registration
from taor_checkpoint.config import CheckpointConfig
from taor_checkpoint.envelope import Key
from taor_checkpoint.history import History
from taor_checkpoint.keyring import Keyring
from taor_checkpoint.service import CheckpointService
from taor_checkpoint.store.entries import EntryStore
from taor_checkpoint.store.sessions import SessionStore

SERVICE_NAME = "taor.checkpoint.v1.CheckpointService"


@asynccontextmanager
async def app(config: CheckpointConfig, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """Open the parts, hand the service over, and close them at the end."""
    async with running_pool(config.dsn, max_size=config.pool_size) as pool:
        sessions = SessionStore(pool)
        history = History(sessions, EntryStore(pool), Keyring(sessions, Key(config.master_secret)))
        yield [Registration(SERVICE_NAME, partial(add_CheckpointServiceServicer_to_server, CheckpointService(history)))]
