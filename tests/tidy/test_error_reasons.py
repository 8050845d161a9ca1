"""The reasons in a contract are the reasons that its service gives, and its tree of errors is drawn where it stands."""

import importlib
from collections.abc import Iterator

import pytest

from taor_chassis.errors import ServiceError

SERVICES = ("budget", "checkpoint", "orchestrator", "sandbox")
CHASSIS = ("taor_chassis.errors", "taor_chassis.validation")


def errors_of(*modules: str) -> set[type[ServiceError]]:
    """The errors that these modules define."""
    for module in modules:
        importlib.import_module(module)
    return {error for error in _below(ServiceError) if error.__module__ in modules}


def reasons_of(errors: set[type[ServiceError]]) -> set[str]:
    """Their reasons; a class that only groups others has none of its own."""
    return {vars(error)["reason"] for error in errors if "reason" in vars(error)}


def _below(error: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


@pytest.mark.parametrize("service", SERVICES)
def test_contract_and_code_know_the_same_reasons(service: str) -> None:
    contract = importlib.import_module(f"taor.{service}.v1.errors_pb2").ErrorReason
    sent = reasons_of(errors_of(*CHASSIS, f"taor_{service}.errors"))
    assert sent == set(contract.keys()) - {"ERROR_REASON_UNSPECIFIED"}


@pytest.mark.parametrize("service", SERVICES)
def test_the_tree_of_errors_is_drawn(service: str) -> None:
    module = importlib.import_module(f"taor_{service}.errors")
    drawing = module.__doc__ or ""
    errors = errors_of(module.__name__)
    assert errors
    missing = {error.__name__ for error in errors if error.__name__ not in drawing}
    assert not missing | {reason for reason in reasons_of(errors) if reason not in drawing}
