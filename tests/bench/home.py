"""The installation that is measured: all of taor as `taor up` starts it, with its data on a disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from taor_cli.endpoints import Endpoints as Addresses
from taor_local.databases import read_or_make_passwords
from taor_local.endpoints import Endpoints
from taor_local.folders import Folders
from taor_local.installation import down, ensure_up
from taor_local.options import Options
from taor_local.postgres import SUPERUSER, Cluster
from tests.bench.progress import tell
from tests.support.installation import free_base_port

# Not the system's folder for temporary files, which may lie in memory.
DISK = Path("/var/tmp")


@dataclass(frozen=True, slots=True)
class Home:
    """A running installation, and how much is to be measured on it."""

    options: Options
    endpoints: Endpoints
    quick: bool

    @property
    def cluster(self) -> Cluster:
        """Its PostgreSQL, opened as the superuser: benchmarks make databases of their own beside those of taor."""
        folders = Folders(self.options.data)
        passwords = read_or_make_passwords(folders.passwords, ())
        return Cluster(folders.postgres, folders.socket_folder(), passwords[SUPERUSER])

    @property
    def addresses(self) -> Addresses:
        """Where the services answer, as the command line names it."""
        found = self.endpoints
        return Addresses(found.orchestrator, found.budget, found.checkpoint, found.sandbox, found.read_token())

    async def fresh_database(self, name: str) -> str:
        """Make an empty database on the same server and give its DSN."""
        connection = await asyncpg.connect(self.cluster.dsn())
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return self.cluster.dsn(name)

    async def fsync(self) -> str:
        """The server's setting: `on` when a commit waits for the disk."""
        connection = await asyncpg.connect(self.cluster.dsn())
        try:
            return str(await connection.fetchval("SHOW fsync"))
        finally:
            await connection.close()


@contextmanager
def running_home(*, quick: bool) -> Iterator[Home]:
    """Start an installation with the scripted model in a folder of its own, and remove both afterwards."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        os.environ.pop(name, None)  # a benchmark never calls a real model
    folder = Path(tempfile.mkdtemp(prefix="taor-bench-", dir=DISK))
    folder.chmod(0o711)  # as root, PostgreSQL is another user and must pass through
    options = Options(data=folder / "data", base_port=free_base_port())
    try:
        yield Home(options, ensure_up(options, tell), quick)
    finally:
        tell("stopping")
        down(options)
        shutil.rmtree(folder)
