"""The parts list of taor at home: PostgreSQL, the scripted model, and the four services."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from taor_local import environment, postgres
from taor_local.databases import ensure_databases, read_or_make_passwords
from taor_local.endpoints import Endpoints
from taor_local.folders import Folders
from taor_local.launch import Launch
from taor_local.part import Chore, Part, Stage
from taor_local.probes import GrpcHealthProbe, PostgresProbe, TcpProbe
from taor_local.settings import Home, settings_of

# The orchestrator comes last, so that it stops first: it hands its builds over while the others still answer.
SERVICES = ("budget", "checkpoint", "sandbox", "orchestrator")
ROLES = tuple(f"taor_{service}" for service in SERVICES)
# The folder of the demo's script, beside this file.
SCRIPTS = Path(__file__).parent


def compose(folders: Folders, endpoints: Endpoints, caller: Mapping[str, str]) -> Sequence[Stage]:
    """Lay out the stages. Makes passwords and the data folder of PostgreSQL where they are missing."""
    passwords = read_or_make_passwords(folders.passwords, ROLES)
    cluster = postgres.Cluster(folders.postgres, folders.socket_folder(), passwords[postgres.SUPERUSER])
    postgres.initialise(cluster)
    home = Home(folders, endpoints, caller, cluster, passwords)
    services = tuple(_service(name, home) for name in SERVICES)
    return (
        Stage("starting PostgreSQL", (_database(cluster),)),
        Stage(
            "starting the services",
            (*_scripted_model(endpoints, caller), *services),
            prepare=partial(ensure_databases, cluster, passwords, ROLES),
            chores=tuple(_migration(name, home) for name in SERVICES),
        ),
    )


def _database(cluster: postgres.Cluster) -> Part:
    return Part("postgres", postgres.launch(cluster), PostgresProbe(cluster), stop_seconds=30)


def _service(name: str, home: Home) -> Part:
    launch = _python(settings_of(name, home), f"taor_{name}", "serve")
    return Part(name, launch, GrpcHealthProbe(getattr(home.endpoints, name)))


def _migration(name: str, home: Home) -> Chore:
    return Chore(name, _python(settings_of(name, home), f"taor_{name}", "migrate"))


def _scripted_model(endpoints: Endpoints, caller: Mapping[str, str]) -> tuple[Part, ...]:
    """Stand in for a model, unless the caller has chosen a real one."""
    if not endpoints.scripted:
        return ()
    address = endpoints.model.removeprefix("http://")
    scripts = caller.get("TAOR_MODEL_SCRIPTS") or str(SCRIPTS)
    arguments = ("--listen", address, "--record", str(endpoints.model_record), "--scripts", scripts)
    launch = _python(environment.for_service("model", caller), "taor_model_simulator", *arguments)
    return (Part("model", launch, TcpProbe(address)),)


def _python(variables: Mapping[str, str], module: str, *arguments: str) -> Launch:
    # -P: a folder that happens to be the current one is no place to import from.
    return Launch((sys.executable, "-P", "-m", module, *arguments), variables)
