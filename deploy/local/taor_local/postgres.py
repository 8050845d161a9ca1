"""The PostgreSQL of one machine: the programs of a wheel, run as a direct child that dies with its parent.

A cluster's home holds `data/`, `lock`, and a copy of the programs where the wheel is out of the server's reach.
The server listens on one unix socket only. It inherits the lock's descriptor, so the lock is free exactly when the
last of the server's processes is gone.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg

from taor_local.borrowed_name import is_nameless, remedy, with_name
from taor_local.errors import FolderOutOfReachError, PostgresFailedError
from taor_local.identity import Identity, database_identity
from taor_local.launch import Launch
from taor_local.postgres_binaries import programs

SUPERUSER = "taor_superuser"
PORT = 5432  # only a part of the socket's file name
ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

ALWAYS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "recovery_init_sync_method": "syncfs",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# A crash of the machine loses the data: for tests that only kill processes.
NOT_DURABLE: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One PostgreSQL data folder, its socket and its superuser's password (of full entropy)."""

    home: Path
    socket_folder: Path
    password: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The folder that initdb makes."""
        return self.home / "data"

    def dsn(self, database: str = "postgres", *, role: str = SUPERUSER, password: str | None = None) -> str:
        """Give the address of a database in the form that asyncpg and libpq read."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{role}:{secret}@/{database}?host={quote(str(self.socket_folder))}&port={PORT}"


def initialise(cluster: Cluster) -> None:
    """Make the data folder if it is not there (half a second). Raises PostgresFailedError with what initdb said."""
    identity = database_identity()
    _own_folder(cluster.home, identity)
    _own_folder(cluster.socket_folder, identity)
    _require_reach(cluster, identity)
    if cluster.data.exists():
        return
    # A crash in the middle leaves a half-made folder under another name, never under the final one.
    unfinished = cluster.home / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    _run_initdb(cluster, unfinished, identity)
    unfinished.rename(cluster.data)


def launch(cluster: Cluster) -> Launch:
    """Say how to start the server on a folder that `initialise` made."""
    identity = database_identity()
    settings = {**ALWAYS, **cluster.settings, "unix_socket_directories": f'"{cluster.socket_folder}"'}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    program = programs(identity, cluster.home) / "postgres"
    return Launch(
        (str(program), "-D", str(cluster.data), "-p", str(PORT), *options),
        ENVIRONMENT,
        death_signal=signal.SIGINT,  # PostgreSQL's fast shutdown: sessions are cut, the data is closed cleanly
        identity=identity,
        lock=cluster.home / "lock",
        # Under the lock no server runs here: these can only name a stranger with the same number, or a zombie.
        stale=(cluster.data / "postmaster.pid", cluster.socket_folder / f".s.PGSQL.{PORT}.lock"),
    )


async def wait_until_ready(cluster: Cluster, *, timeout_seconds: float = 30.0) -> None:
    """Return when the server answers. Raises TimeoutError."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            try:
                connection = await asyncpg.connect(cluster.dsn())
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.01)
            else:
                await connection.close()
                return


def _run_initdb(cluster: Cluster, folder: Path, identity: Identity | None) -> None:
    nameless = identity is None and is_nameless()
    with tempfile.NamedTemporaryFile("w", dir=cluster.home) as password_file:
        password_file.write(cluster.password)
        password_file.flush()
        if identity:
            os.fchown(password_file.fileno(), identity.uid, identity.gid)
        command = [programs(identity, cluster.home) / "initdb", "--pgdata", folder, "--username", SUPERUSER]
        command += ["--pwfile", password_file.name, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions", "--data-checksums"]
        # Passwords are random and long: hashing them thousands of times would only make each connection slower.
        command += ["--set", "scram_iterations=1"]
        if cluster.settings.get("fsync") == "off":
            command.append("--no-sync")
        plain = tuple(map(str, command))
        tied = Launch(with_name(plain, cluster.home) if nameless else plain, identity=identity).tied_command()
        done = subprocess.run(tied, capture_output=True, text=True, cwd="/", env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise PostgresFailedError(f"initdb could not make {folder}: {said}" + (f"\n{remedy()}" if nameless else ""))


def _own_folder(folder: Path, identity: Identity | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owners = {os.geteuid(), identity.uid if identity else os.geteuid()}
    if folder.is_symlink() or folder.stat().st_uid not in owners:
        raise FolderOutOfReachError(f"{folder} belongs to somebody else; remove it, or choose another --data folder.")
    if identity:
        os.chown(folder, identity.uid, identity.gid)


def _require_reach(cluster: Cluster, identity: Identity | None) -> None:
    for folder in (cluster.home, cluster.socket_folder):
        if identity and not identity.may_reach(folder):
            raise FolderOutOfReachError(
                f"Started as root, PostgreSQL runs as {identity.name}, who cannot enter {folder}. "
                "Choose another folder with --data, or start taor as an ordinary user."
            )
