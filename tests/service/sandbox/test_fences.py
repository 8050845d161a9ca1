"""The locked functions, in the orders that break a protocol without them. Sandboxes are only rows here."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from taor_sandbox.records import NOTHING, BuildKey, BuildState, OperationState, Position
from taor_sandbox.store.builds import FenceVerdict, ReleaseVerdict
from taor_sandbox.store.operations import Begun, Recorded, Verdict
from tests.service.sandbox.rows import DONE, KEY, NO_FILES, Rows, running_rows
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def rows(migrated_database: MigratedDatabase) -> AsyncIterator[Rows]:
    """A build whose first sandbox is ready."""
    async with running_rows(migrated_database("taor_sandbox")) as rows:
        yield rows


async def test_of_many_plans_for_one_generation_one_wins(rows: Rows) -> None:
    build = await rows.build()
    won = await asyncio.gather(*(rows.builds.plan(build) for _ in range(8)))
    assert sorted(won) == [False] * 7 + [True]
    assert (await rows.build()).generation == build.generation + 1


async def test_a_late_copy_of_an_attach_plans_nothing(rows: Rows) -> None:
    first = await rows.build()
    await rows.attach(number=2)
    assert not await rows.builds.plan(first)
    assert await rows.attach(number=1) is FenceVerdict.SUPERSEDED
    assert await rows.attach(epoch=2) is FenceVerdict.FENCED
    assert await rows.attach(epoch=1, number=9) is FenceVerdict.STALE_EPOCH
    assert await rows.attach(epoch=2, number=9, owner="somebody else") is FenceVerdict.STALE_EPOCH


async def test_a_build_is_ready_only_when_older_sandboxes_are_gone_for_certain(rows: Rows) -> None:
    assert await rows.builds.plan(await rows.build())
    await rows.create()
    assert not await rows.builds.make_ready(await rows.build())
    (doomed,) = await rows.sandboxes.doomed(KEY)
    assert await rows.sandboxes.destroying(doomed)
    assert not await rows.builds.make_ready(await rows.build())
    await rows.sandboxes.gone(doomed)
    assert await rows.builds.make_ready(await rows.build())


async def test_what_was_made_after_it_was_given_up_is_not_wanted(rows: Rows) -> None:
    assert await rows.builds.plan(await rows.build())
    late = await rows.build()
    assert await rows.builds.plan(late)
    assert not await rows.sandboxes.created(KEY, late.generation, "b/late", "boot")
    assert not await rows.sandboxes.live(KEY, late.generation)


async def test_a_result_of_an_older_generation_is_not_recorded(rows: Rows) -> None:
    await rows.begin(1)
    await rows.next_generation()
    assert await rows.record(1, generation=1) is Recorded.STALE_GENERATION
    assert (await rows.begin(1)).verdict is Verdict.RUN
    assert await rows.record(1, generation=2) is Recorded.RECORDED


async def test_a_row_is_closed_once_and_a_second_claim_shows(rows: Rows) -> None:
    await rows.begin(1)
    assert await rows.record(1) is Recorded.RECORDED
    assert await rows.record(1) is Recorded.CLOSED
    (row,) = await rows.operations.page(KEY, NOTHING, 1)
    assert row.claims == 2


async def test_of_many_announcements_one_runs_and_the_others_follow(rows: Rows) -> None:
    verdicts = [begun.verdict for begun in await asyncio.gather(*(rows.begin(1) for _ in range(8)))]
    assert verdicts.count(Verdict.RUN) == 1
    assert verdicts.count(Verdict.FOLLOW) == 7


async def test_of_two_operations_at_once_one_is_out_of_order(rows: Rows) -> None:
    verdicts = {begun.verdict for begun in await asyncio.gather(rows.begin(1), rows.begin(1, block=1))}
    assert verdicts == {Verdict.RUN, Verdict.OUT_OF_ORDER}


async def test_an_announcement_waits_for_the_one_that_came_first(rows: Rows) -> None:
    """Two connections, in the one order in which an unlocked check sees nothing yet."""
    async with rows.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        first = Rows(connection)  # type: ignore[arg-type] # a connection has the pool's words
        assert (await first.begin(1)).verdict is Verdict.RUN
        second = asyncio.ensure_future(rows.begin(1, block=1))
        await _waiting_or_done(rows.pool, second)
        await transaction.commit()
    assert (await second).verdict is Verdict.OUT_OF_ORDER


async def _waiting_or_done(pool: asyncpg.Pool, task: "asyncio.Future[Begun]") -> None:
    """Return once the other connection waits for a lock, or has its answer."""
    for _ in range(2_000):
        if task.done() or await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the other connection neither waits nor answers")


async def test_nothing_is_announced_for_another_epoch_or_before_ready(rows: Rows) -> None:
    assert (await rows.begin(1, epoch=2)).verdict is Verdict.STALE_EPOCH
    await rows.attach(epoch=2)
    assert (await rows.begin(1, epoch=1)).verdict is Verdict.STALE_EPOCH
    assert await rows.builds.plan(await rows.build())
    assert (await rows.begin(1, epoch=2)).verdict is Verdict.PREPARING
    assert await rows.states() == []


async def test_a_nonce_is_renewed_once_and_spares_what_starts_afterwards(rows: Rows) -> None:
    await rows.begin(1)
    await rows.builds.renew_nonce(KEY, 1, 1)
    assert await rows.states() == [OperationState.INTERRUPTED]
    assert (await rows.begin(2)).nonce == 2
    await rows.builds.renew_nonce(KEY, 1, 1)
    assert await rows.states() == [OperationState.INTERRUPTED, OperationState.STARTING]


async def test_what_a_snapshot_covers_ends_before_the_first_open_operation(rows: Rows) -> None:
    assert (await rows.snapshots.covered(KEY)).position == NOTHING
    await rows.run(1, block=0)
    await rows.run(1, block=2)
    covered = await rows.snapshots.covered(KEY)
    assert (covered.position, covered.op_id) == (Position(1, 2), "r/1/2")
    await rows.begin(2)
    assert (await rows.snapshots.covered(KEY)).position == Position(1, 2)
    await rows.builds.renew_nonce(KEY, 1, 1)
    assert (await rows.snapshots.covered(KEY)).position == Position(2, 0)


async def test_the_newest_snapshot_covers_the_most_whatever_its_time(rows: Rows) -> None:
    await rows.run(1)
    await rows.run(2)
    assert await rows.snapshot("covers-2")
    await rows.begin(3)
    build = await rows.build()
    late = replace(await rows.snapshots.covered(KEY), position=Position(1, 0), op_id="r/1/0")
    await rows.snapshots.announce(build, "covers-1", late, NO_FILES, NO_FILES.encode(), None)
    assert await rows.snapshots.publish(build, "covers-1")
    newest = await rows.snapshots.newest(KEY)
    assert newest is not None
    assert newest.snapshot_id == "covers-2"
    planned = await rows.next_generation()
    assert (planned.snapshot_id, planned.base) == ("covers-2", Position(2, 0))


async def test_an_announcement_that_builds_on_a_snapshot_needs_it_published(rows: Rows) -> None:
    """What the store has of that one is looked for before; until now, only that row has kept it from collection."""
    await rows.run(1)
    assert await rows.snapshot("before")
    build, covered = await rows.build(), await rows.snapshots.covered(KEY)
    assert await rows.snapshots.announce(build, "one", covered, NO_FILES, NO_FILES.encode(), "before")
    await rows.snapshots.delete(KEY, ["before"])
    assert not await rows.snapshots.announce(build, "two", covered, NO_FILES, NO_FILES.encode(), "before")
    assert not await rows.snapshots.announce(build, "two", covered, NO_FILES, NO_FILES.encode(), "one"), "not published"
    assert await rows.snapshots.get(KEY, "two") is None


async def test_who_publishes_lets_go_of_others_but_not_of_what_a_restore_may_read(rows: Rows) -> None:
    await rows.run(1)
    assert await rows.snapshot("base")
    for name in ("old", "older"):
        assert await rows.snapshot(name)
    await rows.pool.execute("UPDATE builds SET snapshot_id = 'base'")
    build, covered = await rows.build(), await rows.snapshots.covered(KEY)
    await rows.snapshots.announce(build, "new", covered, NO_FILES, NO_FILES.encode(), None)
    await rows.snapshots.announce(build, "under way", covered, NO_FILES, NO_FILES.encode(), None)
    published = await rows.snapshots.publish(build, "new", ["base", "old", "older", "under way"])
    assert published is not None
    assert published == await rows.snapshots.get(KEY, "new")
    assert {each.snapshot_id for each in await rows.snapshots.list(KEY, 9)} == {"new", "base"}
    assert await rows.snapshots.publish(build, "new", ["base"]) is None, "a second time"
    assert await rows.snapshots.publish(build, "under way")


async def test_who_does_not_publish_lets_go_of_nothing(rows: Rows) -> None:
    await rows.run(1)
    assert await rows.snapshot("old")
    build = await rows.build()
    await rows.snapshots.announce(build, "late", await rows.snapshots.covered(KEY), NO_FILES, NO_FILES.encode(), None)
    await rows.attach(epoch=2)
    assert await rows.snapshots.publish(build, "late", ["old"]) is None
    assert await rows.snapshots.publish(await rows.build(), "never announced", ["old"]) is None
    assert [each.snapshot_id for each in await rows.snapshots.list(KEY, 9)] == ["old"]


async def test_a_snapshot_is_published_only_for_the_current_generation(rows: Rows) -> None:
    old = await rows.build()
    await rows.snapshots.announce(old, "s", await rows.snapshots.covered(KEY), NO_FILES, NO_FILES.encode(), None)
    await rows.next_generation()
    assert not await rows.snapshots.publish(old, "s")
    assert await rows.snapshots.newest(KEY) is None


async def test_a_snapshot_is_published_only_for_the_current_epoch(rows: Rows) -> None:
    old = await rows.build()
    await rows.snapshots.announce(old, "s", await rows.snapshots.covered(KEY), NO_FILES, NO_FILES.encode(), None)
    await rows.attach(epoch=2)
    assert not await rows.snapshots.publish(old, "s")
    assert await rows.snapshots.publish(await rows.build(), "s")


async def test_what_the_base_lacks_keeps_a_build_from_being_ready(rows: Rows) -> None:
    build = await rows.missing_two_and_three()
    assert [each.op_id for each in await rows.operations.to_redo(build, 9)] == ["r/2/0", "r/3/0"]
    assert await rows.operations.record_redone(build, "r/2/0", 1, DONE)
    assert not await rows.builds.make_ready(build)
    assert await rows.operations.record_redone(build, "r/3/0", 1, DONE)
    assert await rows.builds.make_ready(build)


async def test_a_superseded_attach_records_nothing(rows: Rows) -> None:
    build = await rows.missing_two_and_three()
    await rows.attach(number=2)
    assert not await rows.operations.record_redone(build, "r/2/0", 1, DONE)
    assert not await rows.operations.record_lost(build)
    assert not await rows.builds.make_ready(build)


async def test_what_cannot_be_redone_is_lost_and_stays_so(rows: Rows) -> None:
    build = await rows.missing_two_and_three()
    assert await rows.operations.record_redone(build, "r/2/0", 1, DONE)
    assert await rows.operations.record_lost(build)
    assert await rows.builds.make_ready(build)
    assert await rows.states() == [OperationState.DONE, OperationState.DONE, OperationState.LOST]
    assert [(await rows.begin(each)).verdict for each in (1, 2, 3)] == [Verdict.STORED] * 3


async def test_a_lost_operation_says_nothing_about_where_the_next_command_starts(rows: Rows) -> None:
    await rows.run(1)
    assert (await rows.begin(2)).cwd == "/workspace"
    await rows.lose_everything()
    assert (await rows.begin(2)).cwd is None


async def test_only_the_current_holder_keeps_a_sandbox(rows: Rows) -> None:
    keep = timedelta(minutes=30)
    await rows.attach(epoch=2)
    assert await rows.builds.release(KEY, 1, 1, BuildState.KEPT, keep) is ReleaseVerdict.STALE_EPOCH
    assert await rows.builds.release(KEY, 2, 9, BuildState.KEPT, keep) is ReleaseVerdict.STALE_GENERATION
    stranger = BuildKey("other", KEY.build_id)
    assert await rows.builds.release(stranger, 2, 1, BuildState.KEPT, keep) is ReleaseVerdict.NOT_FOUND
    assert await rows.builds.release(KEY, 2, 1, BuildState.KEPT, keep) is ReleaseVerdict.RELEASED


@pytest.mark.parametrize("state", [BuildState.KEPT, BuildState.PAUSED, BuildState.DESTROYED])
async def test_only_a_destroyed_build_dooms_its_sandbox(rows: Rows, state: BuildState) -> None:
    assert await rows.builds.release(KEY, 1, 1, state, timedelta(minutes=30)) is ReleaseVerdict.RELEASED
    assert (await rows.build()).state is state
    assert bool(await rows.sandboxes.doomed(KEY)) is (state is BuildState.DESTROYED)


async def test_what_was_paused_is_forgotten_when_it_runs_again(rows: Rows) -> None:
    """Else the files of an old pause would be asked for after the next one, of which nothing was noted."""
    await rows.pause(b"tree")
    assert (await rows.build()).paused_tree_sha256 == b"tree"
    await rows.attach(epoch=2)
    assert await rows.builds.make_ready(await rows.build())
    assert (await rows.build()).paused_tree_sha256 is None


async def test_what_was_paused_says_nothing_about_the_next_sandbox(rows: Rows) -> None:
    await rows.pause(b"tree")
    await rows.attach(epoch=2)
    assert (await rows.replace()).paused_tree_sha256 is None


async def test_a_late_note_of_a_pause_is_dropped_once_somebody_wakes_it(rows: Rows) -> None:
    paused = await rows.pause(b"tree")
    await rows.attach(epoch=2)
    await rows.builds.paused(paused, b"late")
    assert (await rows.build()).paused_tree_sha256 == b"tree"


async def test_hot_statements_find_their_rows_by_index(rows: Rows) -> None:
    """A build of ten thousand operations costs no more per call than one of ten."""
    pool = rows.pool
    await pool.execute(
        """
        INSERT INTO operations (tenant_id, build_id, op_id, log_sequence, block, generation, state, tool, input,
                                request_sha256, cwd, closed_at)
        SELECT 'local', 'b', 'r/' || n || '/0', n, 0, 1, 'DONE', 'bash', '{}', '', '/workspace', taor_now()
        FROM generate_series(1, 10000) AS n
        """
    )
    await pool.execute("ANALYZE operations")
    before = await _rows_scanned(pool)
    for sequence in range(10_001, 10_011):
        await rows.run(sequence)
    assert await _rows_scanned(pool) - before < 10_000


async def _rows_scanned(pool: asyncpg.Pool) -> int:
    """How many rows of the journal were read one after the other, so far."""
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        scanned: int = await connection.fetchval(
            "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'operations'"
        )
    return scanned
