"""A module can be imported without anything happening, and keeps nothing that changes."""

import ast
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

# What a module may contain besides definitions and assignments. `try` and `if` stand for optional imports and types.
QUIET = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ACTING = {"open", "read_text", "read_bytes", "connect", "mkdir", "run", "Popen", "getenv", "basicConfig", "load"}
CHANGING = {"append", "add", "update", "pop", "popitem", "clear", "extend", "insert", "remove", "discard", "setdefault"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper_functions", "common", "misc", "tools_utils"}


def import_side_effects(source: Source) -> Iterator[Finding]:
    """Importing a module runs nothing: no call for its effect, no file, no environment, no loop."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _acts(source, node)
        elif not isinstance(node, QUIET) and not _is_harmless(node):
            yield Finding(source.path, node.lineno, "importing this module runs a statement")


def changing_globals(source: Source) -> Iterator[Finding]:
    """What stands at the top of a module never changes."""
    names = {name for node in source.tree.body for name in _assigned(node)}
    for function in source.nodes:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            local = {name for node in ast.walk(function) for name in _assigned(node)} | _arguments(function)
            for node in ast.walk(function):
                if (name := _changed(node)) and (isinstance(node, ast.Global) or name in names - local):
                    yield Finding(source.path, _line(node), f"{name} belongs to the module and is changed here")


def vague_modules(source: Source) -> Iterator[Finding]:
    """A module is named by what it holds."""
    if not VAGUE_NAMES.isdisjoint(part.removesuffix(".py") for part in source.path.split("/")):
        yield Finding(source.path, 1, "the name does not say what the module holds")


def _is_harmless(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=test):
            return any(word in ast.unparse(test) for word in ("TYPE_CHECKING", "__name__", "sys.platform"))
        case ast.Try():
            return all(isinstance(inner, ast.Import | ast.ImportFrom) for inner in node.body)
    return False


def _acts(source: Source, node: ast.stmt) -> Iterator[Finding]:
    for inner in _run_at_import(node):
        if isinstance(inner, ast.Call) and ast.unparse(inner.func).rpartition(".")[2] in ACTING:
            yield Finding(source.path, inner.lineno, f"importing this module calls {ast.unparse(inner.func)}")
        if isinstance(inner, ast.Attribute) and ast.unparse(inner) == "os.environ":
            yield Finding(source.path, inner.lineno, "importing this module reads the environment")


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, ast.Lambda):
            yield from _run_at_import(inner)


def _assigned(node: ast.AST) -> Iterator[str]:
    targets: list[ast.expr] = []
    match node:
        case ast.Assign(targets=several):
            targets = several
        case (
            ast.AnnAssign(target=one) | ast.NamedExpr(target=one) | ast.For(target=one) | ast.comprehension(target=one)
        ):
            targets = [one]
        case ast.withitem(optional_vars=ast.expr() as one):
            targets = [one]
    for target in targets:
        yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name) and _is_stored(inner))


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}


def _changed(node: ast.AST) -> str | None:
    """The name of what a statement changes in place, or declares as global."""
    match node:
        case ast.Global(names=[name, *_]):
            return name
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in CHANGING:
            return name
    return None


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)
