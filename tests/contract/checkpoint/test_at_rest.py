"""What the database holds: no body in clear, nothing that could be changed unnoticed, hot statements by index."""

import pytest

from taor_checkpoint.entries import SessionId
from taor_checkpoint.envelope import Key
from taor_checkpoint.errors import EntryCorrupt, ProjectKeyUnreadable
from taor_checkpoint.store.entries import Range
from tests.contract.checkpoint.laboratory import Laboratory, assistant, claim, head, running_laboratory, user
from tests.support.postgres import MigratedDatabase

SECRET = "a sentence that a copy of the database must not show"


async def test_no_body_stands_in_clear(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(SECRET), user(SECRET)])
    rows = await laboratory.pool.fetch("SELECT sealed_body FROM entries")
    assert len({row["sealed_body"] for row in rows}) == 2
    assert not any(SECRET.encode() in row["sealed_body"] for row in rows)


async def test_the_size_of_the_bodies_is_counted_in_clear(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head("12345"), user("678")])
    await laboratory.history.append(build, 1, 2, [user("9")])
    assert (await laboratory.history.session(build)).body_bytes == 9


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET sealed_body = set_byte(sealed_body, 15, get_byte(sealed_body, 15) # 1) WHERE sequence = 2",
        "UPDATE entries SET body_sha256 = sha256('another') WHERE sequence = 2",
        "UPDATE entries e SET sealed_body = o.sealed_body FROM entries o WHERE e.sequence = 2 AND o.sequence = 3",
        "DELETE FROM entries WHERE sequence = 2",
        "UPDATE entries SET sealed_body = '' WHERE sequence = 2",
    ],
    ids=["a bit flipped", "another hash", "the body of another row", "a row removed", "emptied"],
)
async def test_a_damaged_entry_is_named(laboratory: Laboratory, damage: str) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("one"), user("two")])
    await _tamper(laboratory, damage)
    with pytest.raises(EntryCorrupt) as refusal:
        await laboratory.log(build)
    assert refusal.value.metadata == {"sequence": "2"}


async def test_a_missing_end_is_named(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head(), user("one")])
    await _tamper(laboratory, "DELETE FROM entries WHERE sequence = 2")
    with pytest.raises(EntryCorrupt):
        await laboratory.log(build)


async def test_another_master_key_opens_nothing(migrated_database: MigratedDatabase) -> None:
    dsn = migrated_database("taor_checkpoint")
    async with running_laboratory(dsn) as laboratory:
        build = await laboratory.attached()
        await laboratory.history.append(build, 1, 0, [head()])
    async with running_laboratory(dsn, master=Key(bytes(range(32)))) as laboratory:
        with pytest.raises(ProjectKeyUnreadable):
            await laboratory.log(build)


async def test_a_chunk_is_bounded_however_long_the_log_is(laboratory: Laboratory) -> None:
    build = await laboratory.attached()
    await laboratory.history.append(build, 1, 0, [head("x" * 3_000_000), *(user("y" * 400_000) for _ in range(7))])
    chunks = [chunk async for chunk in laboratory.history.read(build, Range(0, 8))]
    assert [len(chunk) for chunk in chunks] == [1, 2, 2, 2, 1]
    await laboratory.history.append(build, 1, 8, [user("z") for _ in range(300)])
    chunks = [chunk async for chunk in laboratory.history.read(build, Range(8, 308))]
    assert [len(chunk) for chunk in chunks] == [256, 44]


async def test_hot_statements_use_their_indexes(laboratory: Laboratory) -> None:
    builds = [await laboratory.attached() for _ in range(200)]
    for build in builds:
        await _one_turn(laboratory, build, 0)
    await laboratory.pool.execute("ANALYZE")
    before = await _sequential_scans(laboratory)
    for build in builds[:5]:
        await _one_turn(laboratory, build, 4)
        await laboratory.history.attach(claim(build, 2))
        assert len(await laboratory.log(build)) == 8
    assert await _sequential_scans(laboratory) == before


async def _one_turn(laboratory: Laboratory, build: SessionId, at: int) -> None:
    """Every statement of an append: the write, a retry, and an inbox item."""
    entries = [head(), user("brief", f"inbox-{at}"), assistant("answer"), user("results")]
    for _ in range(2):
        assert await laboratory.history.append(build, 1, at, entries) == at + 4


async def _sequential_scans(laboratory: Laboratory) -> dict[str, int]:
    """How often each table of a log was read from end to end, by any connection of the pool."""
    connections = [await laboratory.pool.acquire() for _ in range(laboratory.pool.get_size())]
    for connection in connections:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT 1")
    rows = await connections[0].fetch(
        "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY ($1)",
        ["sessions", "entries", "inbox_entries"],
    )
    for connection in connections:
        await laboratory.pool.release(connection)
    return {row["relname"]: row["seq_scan"] for row in rows}


async def _tamper(laboratory: Laboratory, damage: str) -> None:
    """Change rows as only a superuser who switches the triggers off can."""
    async with laboratory.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(damage)
