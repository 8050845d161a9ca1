"""A deleted project: its sandboxes, snapshots and operations go; what another project has too, stays."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.records import BuildKey, BuildState, Fence
from taor_sandbox.store.deletion import ProjectRows
from tests.service.sandbox.harness import Harness, reason_of
from tests.service.sandbox.rows import KEY, NO_FILES, NO_FILES_SHA256, Rows, running_rows
from tests.support.postgres import MigratedDatabase

OTHER = BuildKey("local", "other")


@pytest.fixture
async def rows(migrated_database: MigratedDatabase) -> AsyncIterator[Rows]:
    """A build of the project `p` whose first sandbox is ready."""
    async with running_rows(migrated_database("taor_sandbox")) as rows:
        yield rows


async def test_nothing_of_a_deleted_project_is_left(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "secret", "a sentence that must go")
    await harness.snapshot()
    await harness.release(pb.ReleaseSandboxRequest.KEEP_FOR_PREVIEW)
    assert _blobs(harness) != []
    await harness.until(lambda: _deleted(harness, "project"), bool)
    assert await _deleted(harness, "project")
    assert await harness.backend.list() == []
    assert await harness.operations() == []
    listed = await harness.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=harness.build_id))
    assert list(listed.snapshots) == []
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await harness.download()
    assert reason_of(refused) == "NO_FILES"
    harness.age_blobs()
    await harness.reaper.collect()
    assert _blobs(harness) == []


async def test_another_project_stays_as_it_is(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "file", "content")
    await harness.snapshot()
    assert await _deleted(harness, "another"), "it has nothing"
    assert (await harness.bash(2, "cat file")).text == "content\n"


async def test_rows_go_a_bounded_number_at_a_time(rows: Rows) -> None:
    for sequence in range(1, 6):
        await rows.run(sequence)
        assert await rows.snapshot(f"s{sequence}")
    project = ProjectRows(rows.pool)
    assert list(await project.end("local", "p", 10)) == [KEY]
    await project.delete_rows("local", "p", 3)
    assert len(await rows.states()) == 2
    assert len(await rows.snapshots.list(KEY, 10)) == 2
    await project.delete_rows("local", "p", 3)
    assert await rows.states() == []
    assert not await project.is_gone("local", "p"), "its sandbox is still there"
    for doomed in await rows.sandboxes.doomed(KEY):
        assert await rows.sandboxes.destroying(doomed)
        await rows.sandboxes.gone(doomed)
    assert await project.is_gone("local", "p")
    assert list(await project.end("local", "p", 10)) == []


async def test_contents_that_another_project_has_too_are_not_collected(rows: Rows) -> None:
    await rows.run(1)
    assert await rows.snapshot("ours")
    await rows.builds.fence(OTHER, "q", Fence(1, 1), "owner-1")
    theirs = replace(await rows.build(), key=OTHER)
    await rows.snapshots.announce(
        theirs, "theirs", await rows.snapshots.covered(OTHER), NO_FILES, NO_FILES.encode(), None
    )
    project = ProjectRows(rows.pool)
    await project.end("local", "p", 10)
    await project.delete_rows("local", "p", 10)
    async with rows.snapshots.collection("local") as collection:
        assert await collection.unused([NO_FILES_SHA256]) == []
    await project.delete_rows("local", "q", 10)
    async with rows.snapshots.collection("local") as collection:
        assert await collection.unused([NO_FILES_SHA256]) == [NO_FILES_SHA256]


async def test_a_snapshot_under_way_is_not_published_any_more(rows: Rows) -> None:
    await rows.run(1)
    build, covered = await rows.build(), await rows.snapshots.covered(KEY)
    await rows.snapshots.announce(build, "late", covered, NO_FILES, NO_FILES.encode(), None)
    await ProjectRows(rows.pool).end("local", "p", 10)
    assert not await rows.snapshots.publish(build, "late")
    assert (await rows.build()).state is BuildState.DESTROYED


async def test_of_another_tenant_nothing_goes(rows: Rows) -> None:
    await rows.run(1)
    project = ProjectRows(rows.pool)
    assert list(await project.end("another", "p", 10)) == []
    await project.delete_rows("another", "p", 10)
    assert len(await rows.states()) == 1


async def _deleted(harness: Harness, project_id: str) -> bool:
    response: pb.DeleteProjectResponse = await harness.stub.DeleteProject(
        pb.DeleteProjectRequest(project_id=project_id)
    )
    return response.complete


def _blobs(harness: Harness) -> list[Path]:
    """The contents in the store."""
    return [path for path in harness.config.blobs.glob("*/*/*") if path.is_file()]
