"""Who may import what, as far as it is not a contract of import-linter."""

import ast
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

# Where messages of the contracts may be touched; everything else works with types of its own.
WIRE_MODULES = {"service.py", "translate.py", "app.py"}
WIRE_FOLDERS = ("clients", "translate", "service")
# Heavy or replaceable libraries, and the one place that knows them.
ADAPTERS = {
    "anthropic": ("services/orchestrator/taor_orchestrator/model/",),
    "e2b": ("services/sandbox/taor_sandbox/backends/e2b/", "deploy/simulators/e2b/", "tests/contract/e2b_simulator/"),
    "boto3": ("services/sandbox/taor_sandbox/blobs/s3",),
    "aiobotocore": ("services/sandbox/taor_sandbox/blobs/s3",),
    "cryptography": ("services/checkpoint/taor_checkpoint/envelope",),
    "rich": ("cli/taor_cli/",),
}

CLOCK = "services/chassis/taor_chassis/clock.py"
WALL_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}


def wire_types_inside(source: Source) -> Iterator[Finding]:
    """Messages of the contracts end at the edge of a service."""
    if source.name in WIRE_MODULES or source.is_in(*WIRE_FOLDERS) or not source.path.startswith("services/"):
        return
    for node, module in _imports(source):
        if module == "taor" or module.startswith("taor."):
            yield Finding(source.path, node.lineno, f"{module} belongs into service, translate or clients")


def strangers(source: Source) -> Iterator[Finding]:
    """A library that could be exchanged is imported by its adapter only."""
    for node, module in _imports(source):
        homes = ADAPTERS.get(module.split(".")[0])
        if homes and not source.path.startswith(homes):
            yield Finding(source.path, node.lineno, f"{module} is known to {homes[0]} only")


def wall_clocks(source: Source) -> Iterator[Finding]:
    """A service is told the time through the port of the chassis, so that tests can tell it another."""
    if not source.path.startswith("services/") or source.path == CLOCK:
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)).endswith(tuple(WALL_CLOCKS)):
            yield Finding(source.path, node.lineno, f"{name} asks the machine; ask taor_chassis.clock")


def private_imports(source: Source) -> Iterator[Finding]:
    """A name that begins with an underscore belongs to its module."""
    for node in source.nodes:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name.startswith("_") and not alias.name.startswith("__"):
                    yield Finding(source.path, node.lineno, f"{alias.name} is private to {node.module}")


def _imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    for node in source.nodes:
        match node:
            case ast.Import(names=names):
                yield from ((node, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node, module
