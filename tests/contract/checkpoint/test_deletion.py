"""A deleted project: nobody can open its bodies, nothing begins in it again, and its rows go, whatever happens."""

import asyncio

import asyncpg
import pytest

from taor_chassis.testing import ManualClock
from taor_checkpoint.deletion import ENTRIES_AT_ONCE
from taor_checkpoint.entries import SessionId
from taor_checkpoint.envelope import ProjectKey, Unopened, new_wrapped_key
from taor_checkpoint.errors import ProjectDeleted
from taor_checkpoint.keyring import KEEP_SECONDS, Keyring
from taor_checkpoint.store.entries import Range
from tests.contract.checkpoint.laboratory import (
    MASTER,
    PROJECT,
    TENANT,
    Laboratory,
    assistant,
    claim,
    head,
    running_laboratory,
    user,
)
from tests.support.postgres import MigratedDatabase

ANOTHER = "project-2"


async def test_a_deleted_project_is_refused_everywhere(laboratory: Laboratory) -> None:
    build = await _build(laboratory)
    await laboratory.deletions.delete_project(TENANT, PROJECT)
    for call in (
        laboratory.history.append(build, 1, 4, [user("late")]),
        laboratory.history.append(build, 1, 0, [head()]),
        laboratory.history.attach(claim(build, 2)),
        laboratory.history.attach(claim(laboratory.new_build(), 1)),
        laboratory.history.session(build),
        laboratory.log(build),
    ):
        with pytest.raises(ProjectDeleted):
            await call


async def test_another_process_that_still_has_the_key_appends_nothing(laboratory: Laboratory) -> None:
    build = await _build(laboratory)
    await laboratory.pool.execute("SELECT shred_project($1, $2)", TENANT, PROJECT)  # as another process would
    with pytest.raises(ProjectDeleted):
        await laboratory.history.append(build, 1, 4, [user("late")])
    assert await _count(laboratory, "entries") == 4


async def test_a_key_that_another_process_destroyed_leaves_the_memory_in_time(
    migrated_database: MigratedDatabase,
) -> None:
    clock = ManualClock()
    async with running_laboratory(migrated_database("taor_checkpoint"), clock=clock) as laboratory:
        build = await _build(laboratory)
        keyring = Keyring(laboratory.sessions, MASTER, clock)
        await keyring.key_of(build)
        await laboratory.pool.execute("SELECT shred_project($1, $2)", TENANT, PROJECT)
        clock.advance(KEEP_SECONDS - 1)
        await keyring.key_of(build)
        clock.advance(2)
        with pytest.raises(ProjectDeleted):
            await keyring.key_of(build)


async def test_what_remains_of_the_rows_cannot_be_opened(laboratory: Laboratory) -> None:
    """With the master key, with all that the database holds, and with any new key: the bodies stay closed."""
    build = await _build(laboratory)
    await laboratory.pool.execute("CREATE TABLE copied AS SELECT sequence, sealed_body FROM entries")
    before = await _wrapped_keys(laboratory)
    assert await _opened_with(laboratory, before) == [b"head", b"brief", b"answer", b"results"]
    await laboratory.deletions.delete_project(TENANT, PROJECT)
    assert await _opened_with(laboratory, await _wrapped_keys(laboratory)) == []
    assert await _opened_with(laboratory, [new_wrapped_key(TENANT, PROJECT, MASTER)]) == []
    for sequence, sealed in await laboratory.pool.fetch("SELECT sequence, sealed_body FROM copied"):
        with pytest.raises(Unopened):
            ProjectKey(TENANT, PROJECT, MASTER).open_body(sealed, sequence)
    with pytest.raises(ProjectDeleted):
        await laboratory.log(build)


async def test_its_rows_go_and_a_tombstone_stays(laboratory: Laboratory) -> None:
    build = await _build(laboratory, turns=ENTRIES_AT_ONCE)
    other = SessionId(TENANT, "other")
    await laboratory.history.attach(claim(other, 1, project_id=ANOTHER))
    await laboratory.history.append(other, 1, 0, [head(), user("brief", "inbox-1")])
    assert (await laboratory.deletions.delete_project(TENANT, PROJECT)).purge_time is None
    await _until_quiet(laboratory)
    assert (await laboratory.deletions.delete_project(TENANT, PROJECT)).purge_time is not None
    assert await _count(laboratory, "entries") == 2
    assert await _count(laboratory, "inbox_entries") == 1
    assert len(await laboratory.log(other)) == 2
    (left,) = await laboratory.sessions.list(TENANT, PROJECT, "", 10)
    assert left.session_id == build
    assert left.purge_time is not None
    with pytest.raises(ProjectDeleted):
        await laboratory.log(build)


async def test_a_deletion_takes_a_bounded_number_of_rows_at_a_time(laboratory: Laboratory) -> None:
    await _build(laboratory, turns=ENTRIES_AT_ONCE)
    await laboratory.deletions.delete_project(TENANT, PROJECT)
    await laboratory.pool.execute("SELECT give_up_deleted(10)")
    total = await _count(laboratory, "entries")
    assert await laboratory.pool.fetchval("SELECT purge_some(7, 1000000)") == 7
    assert await laboratory.pool.fetchval("SELECT purge_some(1000, 100)") in range(1, 4)
    assert await laboratory.pool.fetchval("SELECT purge_some(1000, 1)") == 1
    assert total - await _count(laboratory, "entries") in range(9, 12)


async def test_deleting_again_changes_nothing(laboratory: Laboratory) -> None:
    await _build(laboratory)
    first = await laboratory.deletions.delete_project(TENANT, PROJECT)
    await _until_quiet(laboratory)
    again = await laboratory.deletions.delete_project(TENANT, PROJECT)
    assert again.delete_time == first.delete_time
    assert again == await laboratory.deletions.delete_project(TENANT, PROJECT)
    assert not await laboratory.deletions.round()


async def test_a_project_that_was_never_seen_is_deleted_too(laboratory: Laboratory) -> None:
    await laboratory.deletions.delete_project(TENANT, "never-seen")
    with pytest.raises(ProjectDeleted):
        await laboratory.history.attach(claim(laboratory.new_build(), 1, project_id="never-seen"))
    assert await _count(laboratory, "sessions") == 0


async def test_of_another_tenant_nothing_goes(laboratory: Laboratory) -> None:
    build = await _build(laboratory)
    await laboratory.deletions.delete_project("another", PROJECT)
    await _until_quiet(laboratory)
    assert len(await laboratory.log(build)) == 4


async def test_an_attach_that_comes_after_the_deletion_waits_for_it_and_is_refused(laboratory: Laboratory) -> None:
    await _build(laboratory)
    late = laboratory.new_build()
    async with laboratory.pool.acquire() as gate, gate.transaction():
        await gate.execute("SELECT shred_project($1, $2)", TENANT, PROJECT)
        attach = asyncio.create_task(laboratory.history.attach(claim(late, 1)))
        await laboratory.wait_until_blocked(attach, 1)
    with pytest.raises(ProjectDeleted):
        await attach
    assert await _count(laboratory, "sessions") == 1


async def test_a_deletion_waits_for_the_attach_that_came_first_and_finds_its_session(laboratory: Laboratory) -> None:
    await _build(laboratory)
    async with laboratory.pool.acquire() as gate, gate.transaction():
        await gate.execute(
            "LOCK TABLE sessions IN SHARE MODE"
        )  # an attach has looked at the key when it wants to write
        attach = asyncio.create_task(laboratory.history.attach(claim(laboratory.new_build(), 1)))
        await laboratory.wait_until_blocked(attach, 1)
        deletion = asyncio.create_task(laboratory.deletions.delete_project(TENANT, PROJECT))
        await laboratory.wait_until_blocked(deletion, 2)
        assert not deletion.done(), "the deletion has overtaken an attach"
    assert await attach == 0
    await deletion
    await _until_quiet(laboratory)
    assert await laboratory.pool.fetchval("SELECT count(*) FROM sessions WHERE purge_time IS NOT NULL") == 2


async def test_a_reader_between_two_chunks_learns_of_the_deletion(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head("x" * 900_000), user("y" * 900_000)])
    chunks = laboratory.history.read(build, Range(0, 2))
    assert len(await anext(chunks)) == 1
    await laboratory.deletions.delete_project(TENANT, PROJECT)
    await _until_quiet(laboratory)
    with pytest.raises(ProjectDeleted):
        await anext(chunks)


async def test_rows_of_a_live_log_cannot_be_deleted_even_by_mistake(laboratory: Laboratory) -> None:
    await _build(laboratory)
    await laboratory.deletions.delete_project(TENANT, ANOTHER)
    with pytest.raises(asyncpg.RestrictViolationError):
        await laboratory.pool.execute("DELETE FROM entries")
    await laboratory.deletions.delete_project(TENANT, PROJECT)
    await laboratory.pool.execute("SELECT give_up_deleted(10)")
    with pytest.raises(asyncpg.RestrictViolationError):
        await laboratory.pool.execute("UPDATE entries SET epoch = 9")


async def _build(laboratory: Laboratory, turns: int = 1) -> SessionId:
    """A build of the project with a log: a head and, for each turn, a brief with an inbox item and an answer."""
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head()])
    for turn in range(turns):
        entries = [user("brief", f"inbox-{turn}"), assistant("answer"), user("results")]
        await laboratory.history.append(build, 1, 1 + 3 * turn, entries)
    return build


async def _until_quiet(laboratory: Laboratory) -> None:
    for _ in range(20):
        if not await laboratory.deletions.round():
            return
    pytest.fail("the deletion does not come to its end")


async def _wrapped_keys(laboratory: Laboratory) -> list[bytes]:
    """Every wrapped key that the database still holds."""
    rows = await laboratory.pool.fetch("SELECT wrapped_key FROM project_keys WHERE wrapped_key IS NOT NULL")
    return [row["wrapped_key"] for row in rows]


async def _opened_with(laboratory: Laboratory, wrapped_keys: list[bytes]) -> list[bytes]:
    """The bodies of the copied rows that open with any of these keys."""
    rows = await laboratory.pool.fetch("SELECT sequence, sealed_body FROM copied ORDER BY sequence")
    opened = []
    for wrapped in wrapped_keys:
        key = ProjectKey.unwrap(TENANT, PROJECT, wrapped, MASTER)
        for sequence, sealed in rows:
            try:
                opened.append(key.open_body(sealed, sequence))
            except Unopened:
                continue
    return opened


async def _count(laboratory: Laboratory, table: str) -> int:
    return int(await laboratory.pool.fetchval(f"SELECT count(*) FROM {table}"))
