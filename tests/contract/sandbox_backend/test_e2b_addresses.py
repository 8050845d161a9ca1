"""Where the SDK looks for E2B, for a self-hosted one, and for a server that speaks its wire."""

import pytest
from e2b.connection_config import ConnectionConfig

from taor_chassis.config import load
from taor_sandbox.backends.e2b.backend import options_of
from taor_sandbox.backends.e2b.settings import settings_of
from taor_sandbox.config import SandboxConfig

REQUIRED = {
    "TAOR_SANDBOX_LISTEN": "127.0.0.1:0",
    "TAOR_SANDBOX_DSN": "postgresql://nowhere",
    "TAOR_TOKEN": "token",
    "TAOR_SANDBOX_DATA": "/data",
    "TAOR_SANDBOX_BLOBS": "/blobs",
    "TAOR_SANDBOX_BACKEND": "e2b",
    "E2B_API_KEY": "e2b_key",
}


@pytest.mark.parametrize(
    ("named", "api", "sandboxes"),
    [
        ({}, "https://api.e2b.app", "https://sandbox.e2b.app"),
        ({"E2B_DOMAIN": "e2b.example.org"}, "https://api.e2b.example.org", "https://49983-abc.e2b.example.org"),
        ({"E2B_API_URL": "http://near:1", "E2B_SANDBOX_URL": "http://near:2"}, "http://near:1", "http://near:2"),
    ],
)
def test_the_environment_names_the_server(named: dict[str, str], api: str, sandboxes: str) -> None:
    settings = settings_of(load(SandboxConfig, REQUIRED | named))
    connection = ConnectionConfig(**options_of(settings))
    assert connection.api_url == api
    assert connection.get_sandbox_url("abc", "") == sandboxes
