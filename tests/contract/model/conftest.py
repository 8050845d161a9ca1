"""A scripted model for each test, and what talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.scripted_model import Simulation, running_simulation


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    async with running_simulation(tmp_path) as simulation:
        yield simulation
