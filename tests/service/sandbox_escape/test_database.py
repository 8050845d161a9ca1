"""The database's socket stands beside the sandboxes, and whoever opens it could read any file of the machine."""

import asyncio

from taor_sandbox.backends.port import Sandbox
from tests.support.postgres import PostgresServer
from tests.support.sandboxes import run


async def test_the_socket_of_postgresql_is_out_of_reach(sandbox: Sandbox, postgres_server: PostgresServer) -> None:
    (path,) = [path for path in postgres_server.cluster.socket_folder.glob(".s.PGSQL.*") if path.is_socket()]
    _, writer = await asyncio.open_unix_connection(path)  # it is there for us
    writer.close()
    await writer.wait_closed()
    attempt = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    assert "FileNotFoundError" in (await run(sandbox, f'python3 -c "{attempt}"')).stderr
    found = await run(sandbox, "find / -xdev -name '.s.PGSQL*' 2>/dev/null; cat /proc/net/unix")
    assert "PGSQL" not in found.stdout
