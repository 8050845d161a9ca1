"""One role and one database per service: nobody else may connect to it."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from taor_local.files import write_private
from taor_local.postgres import SUPERUSER, Cluster


def read_or_make_passwords(path: Path, roles: Sequence[str]) -> dict[str, str]:
    """Read the password of the superuser and of every role; make those that are missing, 256 random bits each."""
    passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [role for role in (SUPERUSER, *roles) if role not in passwords]
    if missing:
        passwords |= {role: secrets.token_urlsafe(32) for role in missing}
        write_private(path, json.dumps(passwords, indent=2) + "\n")
    return passwords


async def ensure_databases(cluster: Cluster, passwords: Mapping[str, str], roles: Sequence[str]) -> None:
    """Create each role that is missing, and its database of the same name; a crash in between is made up for."""
    connection = await asyncpg.connect(cluster.dsn())
    try:
        existing_roles = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        existing_databases = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        await connection.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        for role in roles:
            if role not in existing_roles:
                # Neither can be a parameter of CREATE ROLE; the password's alphabet is URL-safe base64.
                await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{passwords[role]}'")
            if role not in existing_databases:
                await connection.execute(f"CREATE DATABASE {role} OWNER {role}")
            await connection.execute(f"REVOKE CONNECT ON DATABASE {role} FROM PUBLIC")
    finally:
        await connection.close()
