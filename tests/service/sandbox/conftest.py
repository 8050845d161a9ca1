"""The sandbox service as its clients see it: real PostgreSQL, real sandboxes, real gRPC."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness


@pytest.fixture
def sandbox_config(migrated_database: Callable[[str], str], tmp_path: Path) -> SandboxConfig:
    """Settings of a service with a database and folders of its own."""
    return SandboxConfig(
        listen="127.0.0.1:0",
        dsn=migrated_database("taor_sandbox"),
        token="test-token",
        data=tmp_path / "sandboxes",
        blobs=tmp_path / "blobs",
    )


@pytest.fixture
async def harness(sandbox_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A running service with one build; its sandboxes are destroyed afterwards."""
    async with running_backend(sandbox_config) as backend:
        harness = Harness(sandbox_config, backend)
        await harness.start()
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()
