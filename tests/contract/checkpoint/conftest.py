"""Fixtures of the checkpoint contract tests."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.checkpoint.laboratory import Laboratory, running_laboratory
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def laboratory(migrated_database: MigratedDatabase) -> AsyncIterator[Laboratory]:
    """A history on a fresh database."""
    async with running_laboratory(migrated_database("taor_checkpoint")) as laboratory:
        yield laboratory
