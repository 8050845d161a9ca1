"""Every exception to a rule says why."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

_SILENCED = re.compile(
    r"#\s*(?P<what>noqa|type:\s*ignore)(?P<codes>:\s*[A-Z]+[0-9]+[A-Z0-9, ]*|\[[^\]]*\])?(?P<rest>.*)$",
    re.MULTILINE,
)
_REASON = re.compile(r"^[\s#–—:-]*\w+\W+\w+")
_NOT_RUN = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|unittest\.skip")


def silent_suppressions(source: Source) -> Iterator[Finding]:
    """A lint or type error is silenced by its code, with a reason behind it."""
    for number, comment in _comments(source):
        if match := _SILENCED.search(comment):
            if not match["codes"]:
                yield Finding(source.path, number, f"{match['what']} without a code silences everything")
            elif not _REASON.match(match["rest"]):
                yield Finding(source.path, number, f"{match['what']} without a reason")


def silent_catches(source: Source) -> Iterator[Finding]:
    """Whoever catches everything stands at a boundary, and says which."""
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and _catches_all(node):
            around = source.lines[node.lineno - 2 : node.body[0].lineno]
            if not any("#" in line for line in around):
                yield Finding(source.path, node.lineno, "everything is caught here, and no comment says why")


def skipped_tests(source: Source) -> Iterator[Finding]:
    """No test is skipped or expected to fail; what needs a special machine is marked `optin`."""
    for number, line in enumerate(source.lines, start=1):
        if match := _NOT_RUN.search(line):
            yield Finding(source.path, number, f"{match.group()}: a test proves something or is not there")


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = "" if handler.type is None else ast.unparse(handler.type)
    return handler.type is None or bool(re.search(r"\b(Exception|BaseException)\b", caught))


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    if not _SILENCED.search(source.text):  # most modules silence nothing, and tokens are slow
        return
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
