"""The databases that all other tests stand on."""

import asyncpg
import pytest


@pytest.mark.parametrize("round_number", [1, 2])
async def test_a_database_is_fresh_each_time(database: str, round_number: int) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE things (id int)")
    assert await connection.fetchval("SELECT count(*) FROM things") == 0
    await connection.close()
