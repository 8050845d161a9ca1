"""A checkpoint service on a socket, over a fresh database."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceStub

from taor_chassis.client import open_channel
from taor_chassis.server import running_server
from taor_checkpoint.app import app
from taor_checkpoint.config import CheckpointConfig
from tests.service.checkpoint.messages import Checkpoint
from tests.support.postgres import MigratedDatabase

TOKEN = "a-token-for-tests"
MASTER_KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
async def checkpoint(migrated_database: MigratedDatabase) -> AsyncIterator[Checkpoint]:
    """A client of the running service."""
    config = CheckpointConfig("127.0.0.1:0", migrated_database("taor_checkpoint"), TOKEN, MASTER_KEY)
    stopping = asyncio.Event()
    async with (
        app(config, stopping) as services,
        running_server(listen=config.listen, services=services, token=TOKEN, stopping=stopping) as address,
        open_channel(address, token=TOKEN) as channel,
    ):
        yield CheckpointServiceStub(channel)
