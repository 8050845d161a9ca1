"""The sandbox service as its clients see it: real PostgreSQL, real sandboxes, real gRPC."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from taor_e2b_simulator.server import running
from taor_e2b_simulator.simulator import API_KEY, Simulator
from taor_sandbox.app import running_backend
from taor_sandbox.config import BackendName, SandboxConfig
from tests.service.sandbox.harness import Harness

collect_ignore = [] if os.geteuid() == 0 else ["test_anothers_files.py"]


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
def simulator(tmp_path: Path) -> Simulator:
    """A simulator of E2B that knows no sandbox yet."""
    return Simulator(tmp_path / "e2b")


@pytest.fixture
async def e2b_config(sandbox_config: SandboxConfig, simulator: Simulator) -> AsyncIterator[SandboxConfig]:
    """The same service, with sandboxes at E2B."""
    async with running(simulator) as url:
        yield replace(
            sandbox_config, backend=BackendName.E2B, e2b_api_key=API_KEY, e2b_api_url=url, e2b_sandbox_url=url
        )


@pytest.fixture(params=list(BackendName))
def any_config(request: pytest.FixtureRequest, e2b_config: SandboxConfig) -> SandboxConfig:
    """The same service on each backend."""
    return replace(e2b_config, backend=request.param)


@pytest.fixture
async def harness(sandbox_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A running service with one build; its sandboxes are destroyed afterwards."""
    async with running_backend(sandbox_config) as backend:
        harness = Harness(sandbox_config, backend)
        await harness.start()
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()
