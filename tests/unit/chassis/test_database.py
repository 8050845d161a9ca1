"""A database that is away is told from a defect."""

import asyncpg
import pytest

from taor_chassis.database import refusal


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), "DEPENDENCY_UNAVAILABLE"),
        (asyncpg.exceptions.AdminShutdownError("restart"), "DEPENDENCY_UNAVAILABLE"),
        (asyncpg.exceptions.CannotConnectNowError("starting up"), "DEPENDENCY_UNAVAILABLE"),
        (asyncpg.exceptions.DiskFullError("no space left"), "DEPENDENCY_UNAVAILABLE"),
        (asyncpg.InterfaceError("the underlying connection is closed"), "DEPENDENCY_UNAVAILABLE"),
        (ConnectionResetError(), "DEPENDENCY_UNAVAILABLE"),
        (asyncpg.QueryCanceledError("statement timeout"), "DEPENDENCY_TIMEOUT"),
    ],
)
def test_a_database_that_is_away_may_be_asked_again(error: Exception, reason: str) -> None:
    refused = refusal(error)
    assert refused is not None
    assert refused.reason == reason


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InterfaceError("another operation is in progress"),
        asyncpg.UndefinedTableError("no such table"),
        asyncpg.DeadlockDetectedError("our lock order is wrong"),
        FileNotFoundError("not of the database"),
    ],
)
def test_a_defect_is_not_excused_as_an_outage(error: Exception) -> None:
    assert refusal(error) is None
