"""What each service is told, and what it is not."""

from pathlib import Path

import pytest

from taor_local.composition import ROLES, SERVICES
from taor_local.endpoints import plan_endpoints
from taor_local.folders import Folders
from taor_local.postgres import Cluster
from taor_local.settings import Home, settings_of

CALLER = {"PATH": "/bin", "ANTHROPIC_API_KEY": "the-key", "GITHUB_TOKEN": "the-canary"}


def home(folder: Path, caller: dict[str, str]) -> Home:
    """Describe a home with a password of its own for every role."""
    folders = Folders(folder)
    folders.make()
    folders.token.write_text("the-token")
    passwords = {role: f"password-of-{role}" for role in ROLES}
    cluster = Cluster(folders.postgres, folders.postgres / "socket", "superuser-password")
    return Home(folders, plan_endpoints(folders, 7401, caller), caller, cluster, passwords)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_its_own_address_database_and_password(tmp_path: Path, service: str) -> None:
    settings = settings_of(service, home(tmp_path, CALLER))
    port = {"orchestrator": 7401, "budget": 7402, "checkpoint": 7403, "sandbox": 7404}[service]
    assert settings[f"TAOR_{service.upper()}_LISTEN"] == f"127.0.0.1:{port}"
    assert f"taor_{service}:password-of-taor_{service}@/taor_{service}?" in settings[f"TAOR_{service.upper()}_DSN"]
    assert settings["TAOR_TOKEN"] == "the-token"
    assert settings["GRPC_VERBOSITY"] == "NONE"
    text = repr(settings)
    assert text.count("password-of-") == 1
    assert "superuser-password" not in text
    assert "the-canary" not in text


def test_only_the_orchestrator_gets_the_key(tmp_path: Path) -> None:
    described = home(tmp_path, CALLER)
    assert [service for service in SERVICES if "the-key" in settings_of(service, described).values()] == [
        "orchestrator"
    ]


def test_only_those_who_call_others_get_a_proxy(tmp_path: Path) -> None:
    described = home(tmp_path, CALLER | {"HTTPS_PROXY": "http://proxy:3128"})
    told = {service: settings_of(service, described) for service in SERVICES}
    assert {service for service in SERVICES if "HTTPS_PROXY" in told[service]} == {"orchestrator", "sandbox"}
    assert told["sandbox"]["NO_PROXY"] == "127.0.0.1,localhost"


def test_without_a_key_the_orchestrator_calls_the_scripted_model(tmp_path: Path) -> None:
    settings = settings_of("orchestrator", home(tmp_path, {}))
    assert (settings["ANTHROPIC_BASE_URL"], settings["ANTHROPIC_API_KEY"]) == ("http://127.0.0.1:7406", "scripted")


def test_a_compatible_server_needs_no_key(tmp_path: Path) -> None:
    settings = settings_of("orchestrator", home(tmp_path, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8080"}))
    assert settings["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8080"
    assert settings["ANTHROPIC_API_KEY"]


def test_the_callers_choice_for_a_service_is_kept(tmp_path: Path) -> None:
    settings = settings_of("budget", home(tmp_path, {"TAOR_BUDGET_CREATE_ACCOUNTS": "false"}))
    assert settings["TAOR_BUDGET_CREATE_ACCOUNTS"] == "false"


def test_the_master_key_stays_the_same(tmp_path: Path) -> None:
    described = home(tmp_path, {})
    assert settings_of("checkpoint", described) == settings_of("checkpoint", described)
