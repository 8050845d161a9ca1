"""Where an installation answers, and which model it gets."""

from pathlib import Path

import pytest

from taor_local.endpoints import ANTHROPIC_URL, plan_endpoints
from taor_local.errors import BadPortError
from taor_local.folders import Folders
from taor_local.options import Options

FOLDERS = Folders(Path("/data"))


def test_ports_follow_the_base_port() -> None:
    endpoints = plan_endpoints(FOLDERS, 7401, {})
    assert endpoints.orchestrator == "127.0.0.1:7401"
    assert endpoints.listening() == tuple(f"127.0.0.1:{port}" for port in range(7401, 7407))


def test_without_a_key_the_model_is_scripted() -> None:
    endpoints = plan_endpoints(FOLDERS, 7401, {})
    assert endpoints.scripted
    assert endpoints.model == "http://127.0.0.1:7406"
    assert endpoints.model_record is not None


def test_a_key_chooses_the_real_model() -> None:
    endpoints = plan_endpoints(FOLDERS, 7401, {"ANTHROPIC_API_KEY": "key"})
    assert (endpoints.scripted, endpoints.model, endpoints.model_record) == (False, ANTHROPIC_URL, None)


def test_a_base_url_alone_chooses_that_server() -> None:
    endpoints = plan_endpoints(FOLDERS, 7401, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8080"})
    assert (endpoints.scripted, endpoints.model) == (False, "http://127.0.0.1:8080")


@pytest.mark.parametrize("base_port", [0, 1023, 65531])
def test_six_ports_must_exist(base_port: int) -> None:
    with pytest.raises(BadPortError, match=str(base_port)):
        Options(data=FOLDERS.data, base_port=base_port)


def test_the_last_six_ports_do() -> None:
    assert Options(data=FOLDERS.data, base_port=65530).base_port == 65530
