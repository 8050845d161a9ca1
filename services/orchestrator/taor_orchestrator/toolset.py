"""The tools that run in the sandbox: their inputs, which of them can change something, and how a call stands. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MAX_PORT = 65_535
_URL_PATH = re.compile(r"/[!-~]{0,2000}")


class BadToolInput(Exception):
    """The model called a tool with an input that it does not take; the message is for the model."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Reads a file as numbered lines; 0 stands for the start and the end."""

    path: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Writes a whole file."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replacement of an edit."""

    old_text: str
    new_text: str


@dataclass(frozen=True, slots=True)
class EditFile:
    """Replaces passages of a file, all or none."""

    path: str
    edits: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Bash:
    """Runs a command; 0 seconds stand for the default time-out."""

    command: str
    timeout_seconds: int
    background: bool


@dataclass(frozen=True, slots=True)
class Grep:
    """Searches contents; 0 results stand for the default."""

    pattern: str
    path: str
    glob: str
    max_results: int


@dataclass(frozen=True, slots=True)
class Glob:
    """Finds files by name."""

    pattern: str
    path: str


@dataclass(frozen=True, slots=True)
class TakeScreenshot:
    """Takes a picture of a page that a program in the sandbox serves."""

    port: int
    path: str
    is_mobile: bool


ToolInput = ReadFile | WriteFile | EditFile | Bash | Grep | Glob | TakeScreenshot


class OperationState(enum.Enum):
    """Where a tool call stands in the sandbox's journal."""

    STARTING = "STARTING"
    DONE = "DONE"
    INTERRUPTED = "INTERRUPTED"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Operation:
    """One tool call as the sandbox's journal knows it."""

    op_id: str
    state: OperationState


READ_ONLY = (ReadFile, Grep, Glob, TakeScreenshot)
"""These change nothing: they may run side by side, before their call is logged, and more than once."""

FILE_CHANGING = ("write_file", "edit_file")
"""The tools after which an earlier verification no longer counts."""


def parse(name: str, fields: Mapping[str, object]) -> ToolInput:
    """The input of the sandbox tool `name`; raises `BadToolInput` with a sentence for the model."""
    reader = _READERS.get(name)
    if reader is None:
        raise BadToolInput(f"There is no tool named {name!r}.")
    return reader(_Fields(name, fields))


class _Fields:
    """Reads typed fields of a tool's input."""

    def __init__(self, tool: str, fields: Mapping[str, object]) -> None:
        self._tool = tool
        self._fields = fields

    def text(self, name: str, default: str | None = None) -> str:
        value = self._fields.get(name, default)
        if not isinstance(value, str):
            raise BadToolInput(f"{self._tool} needs `{name}` as a string.")
        return value

    def number(self, name: str) -> int:
        value = self._fields.get(name, 0)
        if not isinstance(value, int) or not 0 <= value < 2**31:
            raise BadToolInput(f"{self._tool} takes `{name}` as a whole number from 0 up.")
        return value

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise BadToolInput(f"{self._tool} takes `{name}` as true or false.")
        return value

    def port(self, name: str) -> int:
        value = self.number(name)
        if not 1 <= value <= MAX_PORT:
            raise BadToolInput(f"{self._tool} needs `{name}` from 1 to {MAX_PORT}.")
        return value

    def url_path(self, name: str) -> str:
        value = self.text(name, "/")
        if not _URL_PATH.fullmatch(value):
            raise BadToolInput(f"{self._tool} takes `{name}` beginning with a slash, without spaces.")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        value = self.text(name, choices[0])
        if value not in choices:
            raise BadToolInput(f"{self._tool} takes `{name}` as one of {', '.join(choices)}.")
        return value

    def replacements(self, name: str) -> tuple[Replacement, ...]:
        items = self._fields.get(name)
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
            raise BadToolInput(f"{self._tool} needs `{name}` as a list of {{old_text, new_text}}.")
        each = (_Fields(self._tool, item) for item in items)
        return tuple(Replacement(item.text("old_text"), item.text("new_text")) for item in each)


_READERS: Mapping[str, Callable[[_Fields], ToolInput]] = {
    "read_file": lambda f: ReadFile(f.text("path"), f.number("start_line"), f.number("end_line")),
    "write_file": lambda f: WriteFile(f.text("path"), f.text("content")),
    "edit_file": lambda f: EditFile(f.text("path"), f.replacements("edits")),
    "bash": lambda f: Bash(f.text("command"), f.number("timeout_seconds"), f.flag("background")),
    "grep": lambda f: Grep(f.text("pattern"), f.text("path", ""), f.text("glob", ""), f.number("max_results")),
    "glob": lambda f: Glob(f.text("pattern"), f.text("path", "")),
    "take_screenshot": lambda f: TakeScreenshot(
        f.port("port"), f.url_path("path"), f.choice("viewport", ("desktop", "mobile")) == "mobile"
    ),
}
