"""The embedded PostgreSQL: it dies with its parent, keeps its data, lets in whom it knows, and runs without rights."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from taor_local import postgres
from taor_local.databases import ensure_databases
from taor_local.processes import ProcessId
from tests.support.postgres import PostgresServer, owned_folder, roomy_folder
from tests.support.waiting import wait_until

Parent = subprocess.Popen[str]
Start = Callable[[], tuple[Parent, ProcessId]]
PARENT = Path(__file__).parents[2] / "support" / "postgres_parent.py"


@pytest.fixture
def cluster() -> Iterator[postgres.Cluster]:
    """A data folder with everything durable, and no server yet."""
    folder = owned_folder(roomy_folder())
    made = postgres.Cluster(folder.path / "pg", folder.path / "pg" / "socket", "of-full-entropy")
    postgres.initialise(made)
    yield made
    folder.remove()


@pytest.fixture
def start(cluster: postgres.Cluster) -> Iterator[Start]:
    """Starts a parent of its own that starts the server; returns both, without waiting for the server to answer."""
    parents: list[subprocess.Popen[str]] = []

    def begin() -> tuple[Parent, ProcessId]:
        command = [sys.executable, str(PARENT), str(cluster.home), cluster.password]
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        parents.append(parent)
        assert parent.stdout is not None
        server = ProcessId.of(int(parent.stdout.readline()))
        parent.stdout.close()
        assert server is not None
        return parent, server

    yield begin
    for parent in parents:
        kill(parent)


def wait_ready(cluster: postgres.Cluster) -> None:
    """Return when the server answers."""
    asyncio.run(postgres.wait_until_ready(cluster))


def kill(parent: Parent) -> None:
    """End the parent without any chance to clean up."""
    parent.kill()
    parent.wait()


def log_of(cluster: postgres.Cluster) -> str:
    """Read what the server said."""
    return (cluster.home.parent / "server.log").read_text()


def test_the_server_closes_its_data_cleanly_when_its_parent_is_killed(cluster: postgres.Cluster, start: Start) -> None:
    parent, server = start()
    wait_ready(cluster)
    kill(parent)
    wait_until(lambda: not server.is_alive(), "the server ends")
    assert "database system is shut down" in log_of(cluster)


def test_committed_rows_survive_a_kill_of_the_server_itself(cluster: postgres.Cluster, start: Start) -> None:
    parent, server = start()
    wait_ready(cluster)
    asyncio.run(execute(cluster.dsn(), "CREATE TABLE kept AS SELECT 42 AS answer"))
    server.send(signal.SIGKILL)
    kill(parent)
    parent, server = start()
    wait_ready(cluster)
    assert asyncio.run(fetch(cluster.dsn(), "SELECT answer FROM kept")) == 42
    kill(parent)
    wait_until(lambda: not server.is_alive(), "the second server ends")


def test_a_second_server_waits_until_the_first_is_gone(cluster: postgres.Cluster, start: Start) -> None:
    first_parent, first = start()
    wait_ready(cluster)
    second_parent, second = start()
    kill(first_parent)
    wait_until(lambda: log_of(cluster).count("ready to accept connections") == 2, "the second server starts")
    assert not first.is_alive()
    assert log_of(cluster).index("database system is shut down") < log_of(cluster).rindex("starting PostgreSQL")
    kill(second_parent)
    wait_until(lambda: not second.is_alive(), "the second server ends")


def test_an_initialisation_cut_short_is_done_again(cluster: postgres.Cluster, start: Start) -> None:
    torn = cluster.home / "data.unfinished"
    cluster.data.rename(torn)
    (torn / "PG_VERSION").unlink()
    postgres.initialise(cluster)
    parent, server = start()
    wait_ready(cluster)
    kill(parent)
    wait_until(lambda: not server.is_alive(), "the server ends")


def test_the_server_has_no_rights_even_if_root_starts_it(cluster: postgres.Cluster, start: Start) -> None:
    parent, server = start()
    wait_ready(cluster)
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    kill(parent)
    wait_until(lambda: not server.is_alive(), "the server ends")


async def test_a_wrong_password_is_refused(postgres_server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.cluster.dsn(password="guessed"))


async def test_a_role_reaches_its_own_database_only(postgres_server: PostgresServer) -> None:
    cluster, passwords = postgres_server.cluster, {"room_one": "first-secret", "room_two": "second-secret"}
    await ensure_databases(cluster, passwords, tuple(passwords))
    await ensure_databases(cluster, passwords, tuple(passwords))  # as at every later start
    own = cluster.dsn("room_one", role="room_one", password="first-secret")
    assert await fetch(own, "SELECT current_user::text") == "room_one"
    for other in ("room_two", "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(cluster.dsn(other, role="room_one", password="first-secret"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(own, "COPY (SELECT 1) TO PROGRAM 'true'")


async def execute(dsn: str, statement: str) -> None:
    """Run one statement in a session of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(dsn: str, query: str) -> object:
    """Fetch one value in a session of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
