"""The real SDK against a simulator of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from e2b import AsyncSandbox
from e2b.connection_config import ApiParams

from taor_e2b_simulator.server import running
from taor_e2b_simulator.simulator import API_KEY, Simulator


@pytest.fixture
def simulator(tmp_path: Path) -> Simulator:
    """A simulator that knows no sandbox yet."""
    return Simulator(tmp_path)


@pytest.fixture
async def options(simulator: Simulator) -> AsyncIterator[ApiParams]:
    """What every call of the SDK needs to find it."""
    async with running(simulator) as url:
        yield ApiParams(api_key=API_KEY, api_url=url, sandbox_url=url)


@pytest.fixture
async def sandbox(options: ApiParams) -> AsyncSandbox:
    """A sandbox that lives as long as the simulator."""
    return await AsyncSandbox.create(timeout=300, **options)
