"""Which files a moment of a build has, and what a fork keeps of them: the rows alone."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from taor_sandbox.manifest import Entry, EntryKind, Manifest
from taor_sandbox.packs import Pack, Place
from taor_sandbox.records import BuildKey, BuildState, Moment, OperationState, Position
from taor_sandbox.store.forks import FilesKind, ForkRows, PinVerdict
from tests.service.sandbox.rows import KEY, NO_FILES, NO_FILES_SHA256, Rows, running_rows
from tests.support.postgres import MigratedDatabase

FORK = BuildKey("local", "fork")


@pytest.fixture
async def rows(migrated_database: MigratedDatabase) -> AsyncIterator[Rows]:
    """A build whose first sandbox is ready."""
    async with running_rows(migrated_database("taor_sandbox")) as rows:
        yield rows


async def pin(
    rows: Rows, sequence: int, *, fork: BuildKey = FORK, project: str = "p", redo: bool = False
) -> PinVerdict:
    return await ForkRows(rows.pool, rows.snapshots).pin(fork, project, Moment(KEY, sequence), redo=redo)


async def files_at(rows: Rows, sequence: int, key: BuildKey = KEY) -> str:
    """The name of the snapshot of a moment, or EMPTY, or NONE."""
    kind, snapshot = await ForkRows(rows.pool, rows.snapshots).files_at(Moment(key, sequence))
    assert (snapshot is not None) is (kind is FilesKind.SNAPSHOT)
    return snapshot.snapshot_id if snapshot else kind.value


async def test_a_snapshot_is_of_every_moment_from_its_last_operation_to_the_next(rows: Rows) -> None:
    await rows.run(3)
    await rows.run(5)
    assert await rows.snapshot("five")
    await rows.run(9)
    await rows.run(9, block=1)
    assert await rows.snapshot("nine")
    found = [await files_at(rows, sequence) for sequence in (2, 3, 4, 5, 8, 9, 12)]
    assert found == ["EMPTY", "NONE", "NONE", "five", "five", "nine", "nine"]


async def test_half_of_an_answer_is_no_moment(rows: Rows) -> None:
    await rows.run(3)
    assert await rows.snapshot("half")
    await rows.run(3, block=1)
    assert await files_at(rows, 3) == "NONE"
    assert await pin(rows, 3) is PinVerdict.NO_SNAPSHOT
    assert await rows.builds.get(FORK) is None, "a refused fork leaves no row"


async def test_a_fork_outlives_the_snapshot_of_its_origin(rows: Rows) -> None:
    await rows.run(3)
    assert await rows.snapshot("three")
    assert await pin(rows, 4) is PinVerdict.PINNED
    await rows.snapshots.delete(KEY, ["three"])
    async with rows.snapshots.collection("local") as collection:
        assert await collection.unused([NO_FILES_SHA256]) == []
    assert await files_at(rows, 4, FORK) == "three"
    assert await files_at(rows, 4) == "NONE"


async def test_the_collection_spares_a_pack_of_which_one_content_is_needed(rows: Rows) -> None:
    await rows.run(3)
    entry, pack = Entry("f", EntryKind.FILE, 0o644, 1, 0, "", "ab" * 32), Pack("cd" * 32, 1000)
    manifest = Manifest((entry,), places={entry.content: Place(pack, 999)})
    build, covered = await rows.build(), await rows.snapshots.covered(KEY)
    await rows.snapshots.announce(build, "three", covered, manifest, manifest.encode(), None)
    assert await rows.snapshots.publish(build, "three")
    assert await pin(rows, 4) is PinVerdict.PINNED
    await rows.snapshots.delete(KEY, ["three"])
    async with rows.snapshots.collection("local") as collection:
        assert await collection.unused([pack.sha256, entry.content]) == [entry.content], "the fork needs the pack"


async def test_retention_never_takes_what_a_fork_began_with(rows: Rows) -> None:
    await rows.run(3)
    assert await rows.snapshot("three")
    assert await pin(rows, 3) is PinVerdict.PINNED
    fork = replace(await rows.build(), key=FORK)
    await rows.builds.fence(FORK, "p", fork.fence, "owner-1")
    await rows.pool.execute("UPDATE builds SET state = 'READY', generation = 1 WHERE build_id = $1", FORK.build_id)
    await rows.snapshots.announce(fork, "later", await rows.snapshots.covered(FORK), NO_FILES, NO_FILES.encode(), None)
    assert await rows.snapshots.publish(fork, "later", ["three"])
    await rows.snapshots.mark_bad(FORK, "three")
    listed = {each.snapshot_id for each in await rows.snapshots.list(FORK, 9)}
    assert listed == {"three", "later"}, "there is no other place to have these files from"


async def test_a_pin_is_made_once(rows: Rows) -> None:
    await rows.run(3)
    assert await rows.snapshot("three")
    assert [await pin(rows, 3), await pin(rows, 3)] == [PinVerdict.PINNED] * 2
    assert await pin(rows, 4) is PinVerdict.CONFLICT
    assert await pin(rows, 3, fork=KEY) is PinVerdict.CONFLICT
    assert await pin(rows, 3, fork=BuildKey("local", "other"), project="q") is PinVerdict.PROJECT_MISMATCH
    stranger = BuildKey("other", "fork")
    kind, _ = await ForkRows(rows.pool, rows.snapshots).files_at(Moment(BuildKey("other", KEY.build_id), 3))
    assert kind is FilesKind.EMPTY, "another tenant's build is not there at all"
    assert await rows.builds.get(stranger) is None


async def test_a_fork_knows_where_the_next_command_starts_and_what_was_lost(rows: Rows) -> None:
    await rows.run(2)
    await rows.lose_everything()
    await rows.run(4)
    assert await rows.snapshot("four")
    assert await pin(rows, 4) is PinVerdict.PINNED
    told = await rows.operations.told(FORK, tail_sequence=9)
    assert [(each.position.log_sequence, each.state) for each in told] == [(2, OperationState.LOST)]
    assert await rows.operations.cwd(FORK, Position(9, 0)) == "/workspace"
    assert (await rows.snapshots.covered(FORK)).position == Position(4, 0)
    fork = await rows.builds.get(FORK)
    assert fork is not None
    assert (fork.state, fork.generation, fork.fence.epoch) == (BuildState.FENCED, 0, 0)


async def test_the_first_generation_of_a_fork_redoes_nothing_of_its_origin(rows: Rows) -> None:
    await rows.run(3)
    assert await rows.snapshot("three")
    assert await pin(rows, 3) is PinVerdict.PINNED
    fork = await rows.builds.get(FORK)
    assert fork is not None
    assert await rows.builds.plan(fork)
    planned = await rows.builds.get(FORK)
    assert planned is not None
    assert (planned.generation, planned.snapshot_id, planned.base) == (1, "three", Position(3, 0))
    assert await rows.operations.to_redo(planned, 100) == []


async def test_what_no_snapshot_holds_is_redone_from_the_newest_before_it(rows: Rows) -> None:
    for sequence in (3, 5):
        await rows.run(sequence)
        assert await rows.snapshot(str(sequence))
    await rows.run(7)
    await rows.run(9)
    assert await pin(rows, 7) is PinVerdict.NO_SNAPSHOT
    assert await pin(rows, 7, redo=True) is PinVerdict.PINNED
    fork = await rows.builds.get(FORK)
    assert fork is not None
    assert await rows.builds.plan(fork)
    planned = await rows.builds.get(FORK)
    assert planned is not None
    assert (planned.snapshot_id, planned.base) == ("5", Position(5, 0))
    assert [each.op_id for each in await rows.operations.to_redo(planned, 100)] == ["r/7/0"]
    assert [await files_at(rows, sequence, FORK) for sequence in (6, 7)] == ["NONE", "NONE"], "not before it is redone"
    assert await rows.snapshots.first_sequence(FORK) == 5


async def test_without_any_snapshot_everything_is_redone(rows: Rows) -> None:
    await rows.run(3)
    await rows.run(5)
    assert await pin(rows, 4, redo=True) is PinVerdict.PINNED
    assert [each.position for each in await rows.operations.page(FORK, Position(0, 0), 9)] == [Position(3, 0)]
    assert await rows.snapshots.list(FORK, 9) == []
    assert await files_at(rows, 4, FORK) == "NONE"


async def test_what_a_retired_snapshot_has_seen_is_compared_when_its_operation_is_redone(rows: Rows) -> None:
    await rows.run(3)
    assert await rows.snapshot("three")
    await rows.snapshots.delete(KEY, ["three"])
    assert await pin(rows, 3, redo=True) is PinVerdict.PINNED
    fork = await rows.builds.get(FORK)
    assert fork is not None
    assert await rows.builds.plan(fork)
    planned = await rows.builds.get(FORK)
    assert planned is not None
    assert planned.snapshot_id is None
    assert await rows.operations.tree_after(planned, Position(3, 0)) == Manifest(()).tree_sha256


async def test_what_never_came_to_its_end_cannot_be_redone(rows: Rows) -> None:
    await rows.run(3)
    await rows.begin(5)
    assert await pin(rows, 5, redo=True) is PinVerdict.NO_SNAPSHOT
    assert await rows.builds.get(FORK) is None
    assert await pin(rows, 4, redo=True) is PinVerdict.PINNED


async def test_what_came_before_a_fork_is_for_its_origin_to_tell(rows: Rows) -> None:
    assert await pin(rows, 7) is PinVerdict.PINNED
    assert [await files_at(rows, sequence, FORK) for sequence in (6, 7, 9)] == ["NONE", "EMPTY", "EMPTY"]
