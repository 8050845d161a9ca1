"""The settings of each service at home, as the environment variables that it reads."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from taor_local import environment
from taor_local.endpoints import Endpoints
from taor_local.files import read_or_make_secret
from taor_local.folders import Folders
from taor_local.postgres import Cluster
from taor_local.timezone import local_time_zone

# When started as root, each build runs as a user who owns nothing else on this machine. The sandbox service counts up
# from here; the range ends below `nobody`, as whom PostgreSQL may run, and below 65536, where a container's users end.
FIRST_SANDBOX_UID = 50001
SCRIPTED_KEY = "scripted"
# Compatible servers on the own network often want none, but the header must hold something.
NO_KEY = "none"


@dataclass(frozen=True, slots=True)
class Home:
    """What the settings are made from."""

    folders: Folders
    endpoints: Endpoints
    caller: Mapping[str, str]
    """The environment that the supervisor was started with."""
    cluster: Cluster
    passwords: Mapping[str, str]
    """By role."""


def settings_of(service: str, home: Home) -> dict[str, str]:
    """Lay out everything that one service is told; what the caller set under the service's own name is kept."""
    role = f"taor_{service}"
    chosen = environment.for_service(service, home.caller)
    common = {
        f"TAOR_{service.upper()}_LISTEN": getattr(home.endpoints, service),
        f"TAOR_{service.upper()}_DSN": home.cluster.dsn(role, role=role, password=home.passwords[role]),
        "TAOR_TOKEN": home.endpoints.read_token(),
        "GRPC_VERBOSITY": "NONE",  # gRPC's core would write lines of its own among ours, which are JSON
    }
    match service:
        case "orchestrator":
            return chosen | common | _orchestrator(home)
        case "budget":
            return _budget(home) | chosen | common
        case "checkpoint":
            return chosen | common | _checkpoint(home)
        case "sandbox":
            return chosen | common | _sandbox(home)
        case _:
            raise ValueError(f"no service is called {service}")


def _orchestrator(home: Home) -> dict[str, str]:
    endpoints = home.endpoints
    key = SCRIPTED_KEY if endpoints.scripted else home.caller.get("ANTHROPIC_API_KEY") or NO_KEY
    return environment.for_calls_out(home.caller) | {
        "TAOR_BUDGET_TARGET": endpoints.budget,
        "TAOR_CHECKPOINT_TARGET": endpoints.checkpoint,
        "TAOR_SANDBOX_TARGET": endpoints.sandbox,
        "ANTHROPIC_BASE_URL": endpoints.model,
        "ANTHROPIC_API_KEY": key,
    }


def _budget(home: Home) -> dict[str, str]:
    """At home the first build opens its user's account; days are those of this machine."""
    return {"TAOR_BUDGET_CREATE_ACCOUNTS": "true", "TAOR_BUDGET_TIME_ZONE": local_time_zone(home.caller)}


def _checkpoint(home: Home) -> dict[str, str]:
    return {"TAOR_CHECKPOINT_MASTER_KEY": read_or_make_secret(home.folders.master_key)}


def _sandbox(home: Home) -> dict[str, str]:
    settings = environment.for_calls_out(home.caller) | {
        "TAOR_SANDBOX_DATA": str(home.folders.sandboxes),
        "TAOR_SANDBOX_BLOBS": str(home.folders.blobs),
        "TAOR_SANDBOX_PREVIEW_LISTEN": home.endpoints.preview,
    }
    return settings | ({"TAOR_SANDBOX_UID": str(FIRST_SANDBOX_UID)} if os.geteuid() == 0 else {})
