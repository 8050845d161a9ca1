"""Which installation a command talks to."""

from pathlib import Path

import pytest

from taor_cli.endpoints import Wanted, resolve
from taor_cli.exits import UnreachableError, UsageError


def test_the_other_services_are_at_the_next_ports_unless_they_are_named(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("secret\n")
    endpoints = resolve(Wanted(target="build.example.org:7401", sandbox="other:1", token_file=token_file))
    assert endpoints.budget == "build.example.org:7402"
    assert endpoints.checkpoint == "build.example.org:7403"
    assert endpoints.sandbox == "other:1"
    assert endpoints.token == "secret"


@pytest.mark.parametrize("target", ["build.example.org", "host:", ":7401", "host:port"])
def test_a_target_is_host_and_port(target: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        resolve(Wanted(target=target, token="t"))


def test_a_target_needs_a_token_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a token"):
        resolve(Wanted(target="host:1"))
    with pytest.raises(UsageError, match="cannot be read"):
        resolve(Wanted(target="host:1", token_file=tmp_path / "absent"))


def test_where_nothing_runs_the_advice_is_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        resolve(Wanted(data=tmp_path))
    assert "taor up" in caught.value.advice
