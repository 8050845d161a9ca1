"""Installations for tests: the real one on free ports in a temporary folder, and folders for supervised stand-ins."""

import json
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taor_local.endpoints import Endpoints
from taor_local.folders import Folders
from taor_local.installation import down, ensure_up, status
from taor_local.options import PORTS, Options
from taor_local.postgres import SUPERUSER, Cluster
from taor_local.processes import ProcessId, descendants, processes_naming
from taor_local.state import PartState
from tests.support.postgres import roomy_folder

ATTEMPTS = 200


@contextmanager
def temporary_installation() -> Iterator[Options]:
    """Yield a data folder and six free ports; whatever runs there is stopped afterwards, and must then be gone."""
    folder = Path(tempfile.mkdtemp(prefix="taor-installation-", dir=roomy_folder()))
    folder.chmod(0o711)  # as root, PostgreSQL is another user and must pass through
    options = Options(data=folder / "data", base_port=free_base_port())
    try:
        yield options
    finally:
        family = family_of(options)
        down(options)
        left = [process for process in family if process.is_alive()] + list(processes_naming(str(options.data)))
        shutil.rmtree(folder)
    assert left == [], "processes outlived the installation"


@pytest.fixture
def installation_options() -> Iterator[Options]:
    """A data folder of its own and six free ports, with nothing running yet."""
    with temporary_installation() as options:
        yield options


@pytest.fixture
def running_installation(installation_options: Options) -> Endpoints:
    """All of taor, up: the real supervisor, PostgreSQL, the scripted model and the four services."""
    return ensure_up(installation_options, lambda _: None)


def part_of(options: Options, name: str) -> PartState:
    """Say how one part is: `postgres`, `model`, `budget`, `checkpoint`, `sandbox` or `orchestrator`."""
    return next(part for part in status(options).parts if part.name == name)


def process_of(options: Options, name: str) -> ProcessId:
    """Say which process a part is."""
    process = part_of(options, name).process
    assert process is not None, f"{name} is not running"
    return process


def family_of(options: Options) -> tuple[ProcessId, ...]:
    """List the supervisor and everything below it, sandboxes included; nothing when it does not run."""
    supervisor = status(options).supervisor
    return (supervisor, *descendants(supervisor.pid)) if supervisor and supervisor.is_alive() else ()


def database_dsn(options: Options, database: str) -> str:
    """Where a database is reached behind the services' backs, to look into it or to change it."""
    folders = Folders(options.data)
    password = json.loads(folders.passwords.read_text())[SUPERUSER]
    return Cluster(folders.postgres, folders.socket_folder(), password).dsn(database)


def free_base_port() -> int:
    """Find six ports in a row that nobody listens on, below the range that the kernel hands out by itself."""
    for _ in range(ATTEMPTS):
        base = random.randrange(15000, 32000, PORTS)
        if all(_is_free(base + offset) for offset in range(PORTS)):
            return base
    raise AssertionError("no six free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
