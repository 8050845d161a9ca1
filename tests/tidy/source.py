"""The files that the rules look at."""

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT_FOLDERS = ("services", "cli", "deploy")
NOT_OURS = {"generated", "node_modules", "dist"}
WRITTEN_BY_A_BUILD = "deploy/local/taor_local/demo/app/"


@dataclass(frozen=True)
class Source:
    """One text file of the tree, and what it means if it is Python."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree, walked once for all rules."""
        return list(ast.walk(self.tree))

    @cached_property
    def lines(self) -> list[str]:
        """The lines; line n of a message is lines[n - 1]."""
        return self.text.splitlines()

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]

    @property
    def is_test(self) -> bool:
        """Whether the file proves something instead of being shipped."""
        return self.path.startswith("tests/")

    def is_in(self, *folders: str) -> bool:
        """Whether one of these folders is on the file's path."""
        return not set(folders).isdisjoint(self.path.split("/")[:-1])


@dataclass(frozen=True, order=True)
class Finding:
    """A place that a rule objects to."""

    path: str
    line: int
    complaint: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.complaint}"


@cache
def product_code() -> list[Source]:
    """The Python modules that are shipped."""
    return [source for source in _sources(".py") if source.path.startswith(PRODUCT_FOLDERS)]


@cache
def test_code() -> list[Source]:
    """The Python modules that prove the others."""
    return [source for source in _sources(".py") if source.is_test]


@cache
def sql_files() -> list[Source]:
    """Migrations and functions of the databases."""
    return list(_sources(".sql"))


@cache
def written_files() -> list[Source]:
    """Everything that people write and strangers read."""
    return list(_sources(".py", ".sql", ".proto", ".md", ".toml", ".sh", ".yaml", ".yml", ""))


def _sources(*endings: str) -> Iterator[Source]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(each for each in folders if _is_ours(folder, each))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in endings and not path.is_symlink():
                yield Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8", errors="replace"))


def _is_ours(parent: str, folder: str) -> bool:
    path = Path(parent, folder).relative_to(ROOT).as_posix() + "/"
    hidden = folder.startswith(".") and folder != ".ci"
    return not hidden and folder not in NOT_OURS and folder != "__pycache__" and path != WRITTEN_BY_A_BUILD
