"""What the README promises of the configuration is what the services read."""

import importlib
from pathlib import Path

import pytest

from taor_chassis.config import describe

README = Path(__file__).parents[2] / "README.md"
SERVICES = ("budget", "checkpoint", "orchestrator", "sandbox")


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_stands_in_the_readme(service: str) -> None:
    module = importlib.import_module(f"taor_{service}.config")
    config = getattr(module, f"{service.capitalize()}Config")
    told = README.read_text()
    assert {variable.env for variable in describe(config) if f"`{variable.env}`" not in told} == set()
