"""What waits or gathers has a bound."""

import ast
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

QUEUES = {"Queue", "LifoQueue", "PriorityQueue"}
SLEEPS = {"time.sleep", "asyncio.sleep"}
LOOPS = (ast.While, ast.For, ast.AsyncFor)


def endless_queues(source: Source) -> Iterator[Finding]:
    """A queue has a maxsize, so that a slow reader is felt by its writer."""
    for call in _calls(source):
        name = _name(call).rpartition(".")[2]
        if name == "SimpleQueue" or (name in QUEUES and not _has_bound(call)):
            yield Finding(source.path, call.lineno, f"{name} without a maxsize grows without an end")


def fixed_sleeps(source: Source) -> Iterator[Finding]:
    """A test waits for what it needs, within a bound; it does not hope that some time will do."""
    polling = {id(inner) for loop in source.nodes if isinstance(loop, LOOPS) for inner in ast.walk(loop)}
    for call in _calls(source):
        waits = _name(call) in SLEEPS and not (call.args and ast.unparse(call.args[0]) == "0")
        if waits and id(call) not in polling and "#" not in source.lines[call.lineno - 1]:
            yield Finding(source.path, call.lineno, "a fixed sleep; poll for what the test needs, or say why not")


def mocks(source: Source) -> Iterator[Finding]:
    """Above the unit level the parts are real."""
    if source.is_in("unit"):
        return
    for node in source.nodes:
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Attribute):
            continue
        code = ast.unparse(node)
        if code == "monkeypatch.setattr" or (not isinstance(node, ast.Attribute) and "mock" in code):
            yield Finding(source.path, node.lineno, "a mock above the unit level; use the real part")


def _calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in source.nodes if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return ast.unparse(function)


def _has_bound(call: ast.Call) -> bool:
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "maxsize")]
    return bool(given) and ast.unparse(given[0]) != "0"
