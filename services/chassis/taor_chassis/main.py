"""The entry point of every service: `python -m taor_<service> serve | migrate`."""

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import asyncpg

from taor_chassis import config, migrations, server, telemetry
from taor_chassis.errors import ServiceError

_log = logging.getLogger(__name__)


class ServiceConfig(Protocol):
    """What the configuration of every service has."""

    @property
    def listen(self) -> str:
        """host:port or unix:path to serve on."""
        ...

    @property
    def dsn(self) -> str:
        """The service's own database."""
        ...

    @property
    def token(self) -> str:
        """The bearer token that guards every call."""
        ...


C = TypeVar("C", bound=ServiceConfig)

# An application opens its parts, yields its services, and closes the parts after the server has stopped.
AppFactory = Callable[[C, asyncio.Event], AbstractAsyncContextManager[Sequence[server.Registration]]]


def run(
    service_name: str, config_class: type[C], app_factory: AppFactory[C], arguments: Sequence[str] | None = None
) -> int:
    """Run a service (`service_name` "budget" means package `taor_budget`); returns the exit code.

    2: the configuration is wrong, every mistake is listed. 1: the service could not start or failed.
    """
    wanted = _parser(service_name).parse_args(arguments)
    telemetry.configure_logging(service_name)
    try:
        settings = config.load(config_class, os.environ)
        if wanted.command == "migrate":
            asyncio.run(_migrate(service_name, settings, wanted.phase))
        else:
            asyncio.run(_serve(settings, app_factory))
    except config.ConfigError as error:
        return _complain(2, f"taor-{service_name}: the configuration has mistakes", *error.mistakes)
    except Exception as error:  # the process ends here: one line for its operator, the traceback in the log
        return _fail(service_name, error)
    return 0


async def _serve(settings: C, app_factory: AppFactory[C]) -> None:
    stopping = asyncio.Event()
    async with app_factory(settings, stopping) as services:
        # What was loaded stays to the end: a full collection that walks through it stops the orchestrator for 70 ms.
        gc.freeze()
        await server.serve(listen=settings.listen, services=services, token=settings.token, stopping=stopping)


async def _migrate(service_name: str, settings: ServiceConfig, phase: migrations.Phase) -> None:
    await migrations.migrate(settings.dsn, f"taor_{service_name}", phase=phase)


# Nothing is wrong with the code: the message says it all.
_EXPECTED = (
    ServiceError,
    migrations.MigrationError,
    server.ListenError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


def _fail(service_name: str, error: Exception) -> int:
    cause = _first(error)
    if isinstance(cause, _EXPECTED):
        return _complain(1, f"taor-{service_name}: {cause}")
    _log.critical("failed", exc_info=error)
    return _complain(1, f"taor-{service_name}: {type(cause).__name__}: {cause}")


def _first(error: BaseException) -> BaseException:
    """The failure inside the groups that task groups wrap around it."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _complain(code: int, heading: str, *lines: str) -> int:
    sys.stderr.write("\n  ".join((heading, *lines)) + "\n")
    return code


def _parser(service_name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m taor_{service_name}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until SIGTERM, then drain")
    migrate = commands.add_parser("migrate", help="bring the database to the shape this version needs")
    migrate.add_argument("--phase", choices=("pre", "post", "all"), default="all", help="which migrations to apply")
    return parser
