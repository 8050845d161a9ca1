"""The parts list of taor at home: PostgreSQL, the scripted model, and the four services."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taor_local import environment, postgres
from taor_local.databases import ensure_databases, read_or_make_passwords
from taor_local.endpoints import Endpoints
from taor_local.files import read_or_make_secret
from taor_local.folders import Folders
from taor_local.launch import Launch
from taor_local.part import Chore, Part, Stage
from taor_local.probes import GrpcHealthProbe, PostgresProbe, TcpProbe
from taor_local.timezone import local_time_zone

# The orchestrator comes last, so that it stops first: it hands its builds over while the others still answer.
SERVICES = ("budget", "checkpoint", "sandbox", "orchestrator")
ROLES = tuple(f"taor_{service}" for service in SERVICES)
# When started as root, each build runs as a user who owns nothing else on this machine. The sandbox service counts up
# from here; the range ends below `nobody`, as whom PostgreSQL may run, and below 65536, where a container's users end.
FIRST_SANDBOX_UID = 50001
# The folder of the demo's script, beside this file.
SCRIPTS = Path(__file__).parent
SCRIPTED_KEY = "scripted"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything that the parts list is made from."""

    folders: Folders
    endpoints: Endpoints
    caller: Mapping[str, str]
    """The supervisor's own environment."""


def compose(blueprint: Blueprint) -> Sequence[Stage]:
    """Lay out the stages. Makes passwords and the data folder of PostgreSQL where they are missing."""
    folders = blueprint.folders
    passwords = read_or_make_passwords(folders.passwords, ROLES)
    cluster = postgres.Cluster(folders.postgres, folders.socket_folder(), passwords[postgres.SUPERUSER])
    postgres.initialise(cluster)
    token = blueprint.endpoints.read_token()
    launches = {service: _environment_of(service, blueprint, cluster, passwords, token) for service in SERVICES}

    async def prepare() -> None:
        await ensure_databases(cluster, passwords, ROLES)

    database = Part("postgres", postgres.launch(cluster), PostgresProbe(cluster), stop_seconds=30)
    return (
        Stage("starting PostgreSQL", (database,)),
        Stage(
            "starting the services",
            (*_scripted_model(blueprint), *(_service(name, blueprint, launches[name]) for name in SERVICES)),
            prepare,
            tuple(Chore(name, _python(launches[name], f"taor_{name}", "migrate")) for name in SERVICES),
        ),
    )


def _service(name: str, blueprint: Blueprint, variables: Mapping[str, str]) -> Part:
    address: str = getattr(blueprint.endpoints, name)
    return Part(name, _python(variables, f"taor_{name}", "serve"), GrpcHealthProbe(address))


def _scripted_model(blueprint: Blueprint) -> tuple[Part, ...]:
    endpoints = blueprint.endpoints
    if not endpoints.scripted:
        return ()
    address = endpoints.model.removeprefix("http://")
    variables = environment.for_service("model", blueprint.caller)
    scripts = blueprint.caller.get("TAOR_MODEL_SCRIPTS") or str(SCRIPTS)
    arguments = ("--listen", address, "--record", str(endpoints.model_record), "--scripts", scripts)
    return (Part("model", _python(variables, "taor_model_simulator", *arguments), TcpProbe(address)),)


def _python(variables: Mapping[str, str], module: str, *arguments: str) -> Launch:
    # -P: a folder that happens to be the current one is no place to import from.
    return Launch((sys.executable, "-P", "-m", module, *arguments), variables)


def _environment_of(
    service: str, blueprint: Blueprint, cluster: postgres.Cluster, passwords: Mapping[str, str], token: str
) -> dict[str, str]:
    role = f"taor_{service}"
    prefix = role.upper()
    variables = environment.for_service(service, blueprint.caller)
    variables |= {
        f"{prefix}_LISTEN": getattr(blueprint.endpoints, service),
        f"{prefix}_DSN": cluster.dsn(role, role=role, password=passwords[role]),
        "TAOR_TOKEN": token,
    }
    match service:
        case "budget":
            variables = _budget_defaults(blueprint) | variables
        case "orchestrator":
            variables |= _orchestrator_only(blueprint)
        case "checkpoint":
            variables["TAOR_CHECKPOINT_MASTER_KEY"] = read_or_make_secret(blueprint.folders.master_key)
        case "sandbox":
            variables |= _sandbox_only(blueprint)
    return variables


def _budget_defaults(blueprint: Blueprint) -> dict[str, str]:
    """At home the first build opens its user's account; days are those of this machine."""
    zone = local_time_zone(blueprint.caller)
    return {"TAOR_BUDGET_CREATE_ACCOUNTS": "true", "TAOR_BUDGET_TIME_ZONE": zone}


def _orchestrator_only(blueprint: Blueprint) -> dict[str, str]:
    endpoints = blueprint.endpoints
    key = SCRIPTED_KEY if endpoints.scripted else blueprint.caller.get("ANTHROPIC_API_KEY", "")
    return environment.for_model_calls(blueprint.caller) | {
        "TAOR_BUDGET_TARGET": endpoints.budget,
        "TAOR_CHECKPOINT_TARGET": endpoints.checkpoint,
        "TAOR_SANDBOX_TARGET": endpoints.sandbox,
        "ANTHROPIC_BASE_URL": endpoints.model,
        "ANTHROPIC_API_KEY": key,
    }


def _sandbox_only(blueprint: Blueprint) -> dict[str, str]:
    variables = {
        "TAOR_SANDBOX_DATA": str(blueprint.folders.sandboxes),
        "TAOR_SANDBOX_BLOBS": str(blueprint.folders.blobs),
        "TAOR_SANDBOX_PREVIEW_LISTEN": blueprint.endpoints.preview,
    }
    return variables | ({"TAOR_SANDBOX_UID": str(FIRST_SANDBOX_UID)} if os.geteuid() == 0 else {})
