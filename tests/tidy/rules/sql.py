"""SQL has a home, every statement has a name, and time comes from one clock."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

# Where SQL may stand besides `store/`, and why.
OTHER_HOMES = {
    "services/chassis/taor_chassis/migrations.py": "keeps the books about what it applied",
    "deploy/local/taor_local/databases.py": "makes the roles and databases that the services find",
}
# Tables that belong to no tenant, and why.
SHARED_TABLES = {
    "taor_clock_offset": "the clock of the database",
    "taor_prices": "what providers charge everybody",
    "prices": "what providers charge everybody",
}

_STATEMENT = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+(\s+\w+)?\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s"
    r"|(CREATE|ALTER|DROP)\s+(OR\s+REPLACE\s+)?(TABLE|INDEX|FUNCTION|TYPE|ROLE|DATABASE)\s|LOCK\s+TABLE\s)"
)
_OTHER_CLOCKS = re.compile(
    r"(?<![\w.])(now|clock_timestamp|statement_timestamp|transaction_timestamp)\s*\(\)|\bcurrent_(timestamp|date|time)\b",
    re.IGNORECASE,
)
_TABLE = re.compile(r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s*\((.*?)\n\)", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*")


def homeless_statements(source: Source) -> Iterator[Finding]:
    """SQL stands in store/, migrations/ and sql/ only."""
    if source.is_in("store") or source.path in OTHER_HOMES:
        return
    for node in _statements(source):
        yield Finding(source.path, node.lineno, "SQL stands in store/, migrations/ and sql/ only")


def nameless_statements(source: Source) -> Iterator[Finding]:
    """A statement is the value of a constant, so that people can talk about it and EXPLAIN it."""
    named = {
        id(inner)
        for node in source.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value
        for inner in ast.walk(node.value)
    }
    if source.is_in("store"):
        for node in _statements(source):
            if id(node) not in named:
                yield Finding(source.path, node.lineno, "this statement has no name; make it a constant of the module")


def other_clocks(source: Source) -> Iterator[Finding]:
    """In SQL the time is taor_now(), which tests can move."""
    if source.path.startswith("services/chassis/"):
        return
    for number, text in _sql_of(source):
        for match in _OTHER_CLOCKS.finditer(text):
            line = number + text.count("\n", 0, match.start())
            yield Finding(source.path, line, f"{match.group()} is not the clock of our databases; taor_now() is")


def tables_without_tenant(source: Source) -> Iterator[Finding]:
    """Every row belongs to a tenant from the first migration on."""
    text = _without_comments(source.text)
    for match in _TABLE.finditer(text):
        if "tenant_id" not in match[2] and match[1] not in SHARED_TABLES:
            line = 1 + text.count("\n", 0, match.start())
            yield Finding(source.path, line, f"the table {match[1]} has no tenant_id")


def _statements(source: Source) -> Iterator[ast.Constant]:
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
            yield node


def _sql_of(source: Source) -> Iterator[tuple[int, str]]:
    if source.name.endswith(".sql"):
        yield 1, _without_comments(source.text)
    else:
        yield from ((node.lineno, str(node.value)) for node in _statements(source))


def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text)
