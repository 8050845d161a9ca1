"""A function fits on a screen, a module holds one noun."""

import ast
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
MAX_TEST_MODULE_LINES = 600

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> list[Function]:
    """All functions of a module, inner ones too."""
    return [node for node in source.nodes if isinstance(node, Function)]


def length(function: Function) -> int:
    """The lines from `def` to the end, without the docstring: an explanation makes no function long."""
    first = function.body[0]
    explained = 0
    if ast.get_docstring(function, clean=False) is not None:
        explained = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - explained


def long_functions(source: Source) -> Iterator[Finding]:
    """No function is longer than a screen."""
    for function in functions(source):
        if (lines := length(function)) > MAX_FUNCTION_LINES:
            complaint = f"{function.name} has {lines} lines; {MAX_FUNCTION_LINES} fit on a screen"
            yield Finding(source.path, function.lineno, complaint)


def long_modules(source: Source) -> Iterator[Finding]:
    """No module is so long that people fear it."""
    limit = MAX_TEST_MODULE_LINES if source.is_test else MAX_MODULE_LINES
    if len(source.lines) > limit:
        yield Finding(source.path, 1, f"{len(source.lines)} lines are more than the {limit} of a module")
