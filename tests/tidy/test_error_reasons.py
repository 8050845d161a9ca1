"""The reasons in a contract are the reasons that its service gives: none is missing, none is never sent."""

import importlib
from collections.abc import Iterator

import pytest

from taor_chassis import validation
from taor_chassis.errors import ServiceError

SERVICES = ("budget", "checkpoint", "orchestrator", "sandbox")
OURS = "taor_chassis"


def reasons_of(*packages: str) -> set[str]:
    """The reasons of all errors that these packages define."""
    return {
        vars(error)["reason"]
        for error in _below(ServiceError)
        if error.__module__.split(".")[0] in packages and "reason" in vars(error)
    }


def _below(error: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


@pytest.mark.parametrize("service", SERVICES)
def test_contract_and_code_know_the_same_reasons(service: str) -> None:
    importlib.import_module(f"taor_{service}.errors")
    assert validation.InvalidField.__module__.startswith(OURS)
    contract = importlib.import_module(f"taor.{service}.v1.errors_pb2").ErrorReason
    assert set(contract.keys()) - {"ERROR_REASON_UNSPECIFIED"} == reasons_of(OURS, f"taor_{service}")
