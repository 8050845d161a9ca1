"""Migrations on a real PostgreSQL: once, in order, unchanged, one at a time."""

import asyncio
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from taor_chassis.migrations import MigrationError, migrate

_numbers = itertools.count()


class Package:
    """A package with SQL that a test writes."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._folder = folder

    def write(self, path: str, text: str) -> None:
        """Write a file of the package."""
        file = self._folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """An importable package with a migration that makes the table `trace`."""
    folder = tmp_path / f"taor_migrations_probe_{next(_numbers)}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    made = Package(folder)
    made.write("migrations/0001_pre_trace.sql", "CREATE TABLE trace (step text, at timestamptz DEFAULT taor_now());")
    yield made
    sys.modules.pop(folder.name, None)


async def fetch(dsn: str, query: str) -> list[object]:
    """The first column of a query's rows."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


STEPS = "SELECT step FROM trace ORDER BY at"


async def test_files_are_applied_in_order_and_once(database: str, package: Package) -> None:
    package.write("migrations/0003_pre_c.sql", "INSERT INTO trace VALUES ('c')")
    package.write("migrations/0002_post_b.sql", "INSERT INTO trace VALUES ('b')")
    package.write("sql/d.sql", "INSERT INTO trace VALUES ('d')")
    first = await migrate(database, package.name)
    assert first == (
        "taor_chassis/clock.sql",
        "0001_pre_trace.sql",
        "0002_post_b.sql",
        "0003_pre_c.sql",
        f"{package.name}/d.sql",
    )
    assert await migrate(database, package.name) == ()
    assert await fetch(database, STEPS) == ["b", "c", "d"]


async def test_pre_comes_before_the_new_version_and_post_after_the_old_one(database: str, package: Package) -> None:
    package.write("migrations/0002_post_b.sql", "INSERT INTO trace VALUES ('b')")
    package.write("migrations/0003_pre_c.sql", "INSERT INTO trace VALUES ('c')")
    await migrate(database, package.name, phase="pre")
    assert await fetch(database, STEPS) == ["c"]
    assert await migrate(database, package.name, phase="post") == ("0002_post_b.sql",)
    assert await fetch(database, STEPS) == ["c", "b"]


async def test_an_applied_migration_may_not_change(database: str, package: Package) -> None:
    await migrate(database, package.name)
    package.write("migrations/0001_pre_trace.sql", "CREATE TABLE another (step text);")
    package.write("migrations/0002_pre_b.sql", "INSERT INTO trace VALUES ('b')")
    with pytest.raises(MigrationError) as refused:
        await migrate(database, package.name)
    for what in (
        "made by another version of taor",
        "0001_pre_trace.sql",
        "`./taor up --data FOLDER`",
        "write a new one",
    ):
        assert what in str(refused.value)
    assert await fetch(database, STEPS) == []


async def test_functions_are_applied_again_when_their_text_changes(database: str, package: Package) -> None:
    package.write("sql/answer.sql", "CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql RETURN 41")
    await migrate(database, package.name)
    package.write("sql/answer.sql", "CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql RETURN 42")
    assert await migrate(database, package.name) == (f"{package.name}/answer.sql",)
    assert await fetch(database, "SELECT answer()") == [42]


async def test_a_file_that_fails_leaves_nothing_and_names_its_line(database: str, package: Package) -> None:
    package.write("migrations/0002_pre_b.sql", "INSERT INTO trace VALUES ('b');\n\nSELECT nonsense FROM trace;")
    package.write("migrations/0003_pre_c.sql", "INSERT INTO trace VALUES ('c');")
    with pytest.raises(MigrationError, match=r"0002_pre_b\.sql, line 3: .*nonsense"):
        await migrate(database, package.name)
    assert await fetch(database, STEPS) == []
    package.write("migrations/0002_pre_b.sql", "INSERT INTO trace VALUES ('b')")
    assert await migrate(database, package.name) == ("0002_pre_b.sql", "0003_pre_c.sql")


async def test_a_file_and_its_record_are_one_commit(database: str, package: Package) -> None:
    await migrate(database, package.name)
    forbid = "ALTER TABLE taor_migrations ADD CONSTRAINT full_up CHECK (name NOT LIKE '0002%')"
    package.write("migrations/0002_pre_b.sql", f"INSERT INTO trace VALUES ('b'); {forbid}")
    with pytest.raises(MigrationError, match="full_up"):
        await migrate(database, package.name)
    assert await fetch(database, STEPS) == []


async def test_migrations_started_together_apply_each_file_once(database: str, package: Package) -> None:
    package.write("migrations/0002_pre_b.sql", "INSERT INTO trace SELECT 'b' FROM pg_sleep(0.1)")
    applied = await asyncio.gather(*(migrate(database, package.name) for _ in range(4)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, 3]
    assert await fetch(database, STEPS) == ["b"]


@pytest.mark.parametrize("name", ["2_pre_b.sql", "0002_b.sql", "0002_pre_B.sql", "0001_post_twin.sql"])
async def test_a_name_out_of_order_is_refused_before_anything_is_applied(
    database: str, package: Package, name: str
) -> None:
    package.write(f"migrations/{name}", "SELECT 1")
    with pytest.raises(MigrationError, match=r"is not named|have the number"):
        await migrate(database, package.name)
    assert await fetch(database, "SELECT count(*) FROM taor_migrations") == [0]


async def test_the_clock_moves_for_connections_that_are_already_open(database: str) -> None:
    await migrate(database, "taor_chassis")
    connection = await asyncpg.connect(database)
    ahead = "SELECT round(extract(epoch FROM taor_now() - clock_timestamp()) / 3600)"
    assert await connection.fetchval(ahead) == 0
    await fetch(database, "UPDATE taor_clock_offset SET offset_by = interval '26 hours' RETURNING 1")
    assert await connection.fetchval(ahead) == 26
    await connection.close()


async def test_the_clock_runs_on_within_a_transaction(database: str) -> None:
    await migrate(database, "taor_chassis")
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        before = await connection.fetchval("SELECT taor_now()")
        assert await connection.fetchval("SELECT taor_now()") > before
    await connection.close()


async def test_the_clock_can_be_compared_by_an_index(database: str) -> None:
    await migrate(database, "taor_chassis")
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE TABLE hold (expires_at timestamptz PRIMARY KEY);"
        "INSERT INTO hold SELECT taor_now() + n * interval '1 hour' FROM generate_series(1, 5000) n; ANALYZE hold"
    )
    plan = await connection.fetch("EXPLAIN SELECT * FROM hold WHERE expires_at <= taor_now()")
    assert any("Index Cond: (expires_at <= taor_now())" in row[0] for row in plan)
    await connection.close()
