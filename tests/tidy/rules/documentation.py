"""What others may use says what it is, in a sentence that a newcomer understands."""

import ast
from collections.abc import Iterator

from tests.tidy.source import Finding, Source

# Bases that make a noun of its own; any other base is a port, which has described the methods already.
NEW_NOUNS = ("Protocol", "Enum", "Exception", "Error", "Generic", "NamedTuple", "TypedDict", "ABC", "Flag")

Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def silent_modules(source: Source) -> Iterator[Finding]:
    """Every module has a docstring; an empty one needs none."""
    if source.tree.body and not ast.get_docstring(source.tree):
        yield Finding(source.path, 1, "the module does not say what it is")


def silent_names(source: Source) -> Iterator[Finding]:
    """Every public class, function and method has a docstring; a class that implements a port has the port's."""
    owners: list[ast.Module | ast.ClassDef] = [source.tree, *_public_classes(source.tree)]
    for node in (node for owner in owners for node in owner.body):
        if isinstance(node, Named) and _is_public(node) and not ast.get_docstring(node):
            yield Finding(source.path, node.lineno, f"{node.name} does not say what it is or does")


def unfinished_sentences(source: Source) -> Iterator[Finding]:
    """The first paragraph of a docstring is a sentence, with its full stop."""
    for node in source.nodes:
        if isinstance(node, ast.Module | Named) and (text := ast.get_docstring(node)):
            sentence = text.split("\n\n")[0].rstrip()
            if not sentence.endswith((".", "!", "?", ":", "…")):
                yield Finding(source.path, _line(node), "the docstring does not open with a finished sentence")


def _public_classes(tree: ast.Module) -> list[ast.ClassDef]:
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [node for node in classes if not node.name.startswith("_") and not _implements(node)]


def _implements(node: ast.ClassDef) -> bool:
    bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    return any(not base.endswith(NEW_NOUNS) for base in bases)


def _is_public(node: Named) -> bool:
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return not node.name.startswith("_") and decorators.isdisjoint({"overload", "override", "setter"})


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)
