"""`taor delete` as a process, against the contract over a real socket."""

from collections.abc import AsyncIterator

import pytest

from tests.service.cli.test_builds import Installation
from tests.support.recorded_orchestrator import RecordedOrchestrator, serving


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    recorded = RecordedOrchestrator()
    async with serving(recorded) as address:
        yield Installation(recorded, address)


async def test_a_deletion_is_waited_for(installation: Installation) -> None:
    done = await installation.taor("delete", "notes", "--yes", "--json")
    [document] = done.documents()
    assert (done.code, document["project_id"]) == (0, "notes")
    assert document["purge_time"] is not None
    assert installation.recorded.told == [("delete", "notes")] * 2


async def test_a_deletion_may_go_on_alone(installation: Installation) -> None:
    begun = await installation.taor("delete", "notes", "--yes", "--no-wait")
    assert (begun.code, begun.out) == (0, "notes is deleted; its rows and files are still being removed\n")
    assert installation.recorded.told == [("delete", "notes")]


async def test_nothing_is_deleted_without_a_yes(installation: Installation) -> None:
    careless = await installation.taor("delete", "notes")
    assert careless.code == 2
    assert "--yes" in careless.err
    assert installation.recorded.told == []
