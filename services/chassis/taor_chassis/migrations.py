"""Brings a database to the shape that a service needs.

`<package>/migrations/NNNN_{pre,post}_name.sql` are applied once each, in order: `pre` before the new version of
the service runs (only additions), `post` after the old one is gone (removals). `<package>/sql/*.sql` hold functions
and are applied again whenever their text changes.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import asyncpg

Phase = Literal["pre", "post", "all"]

_NAME = re.compile(r"^(?P<number>\d{4})_(?P<phase>pre|post)_[a-z0-9_]+\.sql$")
_LOCK = 0x7461_6F72  # "taor": one migration at a time per database
_QUEUE_WAIT = "60s"  # for another migration to end
_TABLE_WAIT = "5s"  # for a table: longer, and every statement of the running service queues behind us

_BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS taor_migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS taor_sql_files (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
"""

# Read by whoever starts a version on the data of another, and by whoever has changed a migration.
_OTHER_VERSION = """\
this database was made by another version of taor: the {name} that was applied to it is not the one of this version.
  Go on with the version that made it, or give this one a database of its own: at home that is another folder,
  `./taor up --data FOLDER`, or the same one anew, once `./taor down` was said and it was removed with all its builds.
  Whoever develops taor: a migration that was applied anywhere stays as it is; write a new one."""


class MigrationError(Exception):
    """The files and the database do not fit together; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file of SQL and the hash of its text."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """The hash under which the file is recorded."""
        return hashlib.sha256(self.text.encode()).hexdigest()


async def migrate(dsn: str, package: str, *, phase: Phase = "all") -> tuple[str, ...]:
    """Apply what is missing, each file in its own transaction; returns the names of the files applied."""
    connection = await asyncpg.connect(dsn, server_settings={"lock_timeout": _QUEUE_WAIT})
    try:
        await _take_turn(connection)
        await connection.execute(_BOOKKEEPING)
        return (
            *await _apply_changed(connection, "taor_chassis"),
            *await _apply_new(connection, package, phase),
            *await _apply_changed(connection, package),
        )
    finally:
        await connection.close()


async def _take_turn(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    except asyncpg.LockNotAvailableError:
        raise MigrationError(f"another migration of this database has been running for {_QUEUE_WAIT}") from None
    await connection.execute(f"SET lock_timeout = '{_TABLE_WAIT}'")


async def _apply_new(connection: asyncpg.Connection, package: str, phase: Phase) -> tuple[str, ...]:
    recorded = await _recorded(connection, "taor_migrations")
    waiting = []
    for file in _migrations(package):
        if file.name not in recorded:
            waiting.append(file)
        elif recorded[file.name] != file.sha256:
            raise MigrationError(_OTHER_VERSION.format(name=file.name))
    chosen = [file for file in waiting if phase in ("all", _phase(file))]
    for file in chosen:
        await _apply(connection, file, "INSERT INTO taor_migrations (name, sha256) VALUES ($1, $2)", file.name)
    return tuple(file.name for file in chosen)


async def _apply_changed(connection: asyncpg.Connection, package: str) -> tuple[str, ...]:
    recorded = await _recorded(connection, "taor_sql_files")
    applied = []
    for file in _sql_files(package, "sql"):
        name = f"{package}/{file.name}"
        if recorded.get(name) != file.sha256:
            await _apply(connection, file, _RECORD_SQL_FILE, name)
            applied.append(name)
    return tuple(applied)


_RECORD_SQL_FILE = """
INSERT INTO taor_sql_files (name, sha256) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, applied_at = clock_timestamp()
"""


async def _apply(connection: asyncpg.Connection, file: SqlFile, record: str, name: str) -> None:
    try:
        async with connection.transaction():
            await connection.execute(file.text)
            await connection.execute(record, name, file.sha256)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{name}{_line(file, error)}: {error}") from error


def _line(file: SqlFile, error: asyncpg.PostgresError) -> str:
    """Where in the file the error is, as far as PostgreSQL tells (a position counted in characters from 1)."""
    position = error.as_dict().get("position")
    return f", line {file.text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""


async def _recorded(connection: asyncpg.Connection, table: str) -> dict[str, str]:
    rows = await connection.fetch(f"SELECT name, sha256 FROM {table}")
    return {row["name"]: row["sha256"] for row in rows}


def _phase(file: SqlFile) -> str:
    match = _NAME.match(file.name)
    assert match is not None
    return match["phase"]


def _migrations(package: str) -> list[SqlFile]:
    found = _sql_files(package, "migrations")
    numbers = set()
    for file in found:
        if not (match := _NAME.match(file.name)):
            raise MigrationError(f"{file.name} is not named NNNN_pre_name.sql or NNNN_post_name.sql")
        if match["number"] in numbers:
            raise MigrationError(f"two migrations have the number {match['number']}")
        numbers.add(match["number"])
    return found


def _sql_files(package: str, folder: str) -> list[SqlFile]:
    root = files(package) / folder
    if not root.is_dir():
        return []
    found = [SqlFile(each.name, each.read_text("utf-8")) for each in root.iterdir() if each.name.endswith(".sql")]
    return sorted(found, key=lambda file: file.name)
