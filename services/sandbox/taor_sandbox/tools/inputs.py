"""What each tool takes, and the one normal form in which an input is hashed and stored."""

import dataclasses
import enum
import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, assert_never


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Reads a file as numbered lines; 0 means from the start, or to the end."""

    name: ClassVar[str] = "read_file"
    path: str
    start_line: int = 0
    end_line: int = 0


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Writes a whole file, with its folders."""

    name: ClassVar[str] = "write_file"
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """One passage, found exactly once, and what stands there afterwards."""

    old_text: str
    new_text: str


@dataclass(frozen=True, slots=True)
class EditFile:
    """Replaces passages of a file in order, all or none."""

    name: ClassVar[str] = "edit_file"
    path: str
    edits: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Bash:
    """Runs a command, in the working directory that the command before it left."""

    name: ClassVar[str] = "bash"
    command: str
    timeout_seconds: int
    background: bool = False


@dataclass(frozen=True, slots=True)
class Grep:
    """Searches the contents of files with a regular expression."""

    name: ClassVar[str] = "grep"
    pattern: str
    path: str = ""
    glob: str = ""
    max_results: int = 100


@dataclass(frozen=True, slots=True)
class Glob:
    """Finds files by name."""

    name: ClassVar[str] = "glob"
    pattern: str
    path: str = ""


class Viewport(enum.Enum):
    """How large a page is shown."""

    DESKTOP = "desktop"
    MOBILE = "mobile"


@dataclass(frozen=True, slots=True)
class TakeScreenshot:
    """Takes a picture of a page that a program inside serves."""

    name: ClassVar[str] = "take_screenshot"
    port: int
    path: str = "/"
    viewport: Viewport = Viewport.DESKTOP


ReadOnly: TypeAlias = ReadFile | Grep | Glob | TakeScreenshot
"""Needs no row, and may run beside others."""
Mutating: TypeAlias = WriteFile | EditFile | Bash
"""Starts once per generation, one at a time, in the order of the log."""
ToolInput: TypeAlias = ReadOnly | Mutating


def canonical(tool: ToolInput) -> str:
    """The normal form: JSON with sorted keys. Protobuf bytes would not do, they are not canonical."""
    return json.dumps(dataclasses.asdict(tool), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(tool: ToolInput) -> bytes:
    """The SHA-256 of the tool's name and normal form."""
    return hashlib.sha256(f"{tool.name} {canonical(tool)}".encode()).digest()


def parse(name: str, text: str) -> Mutating:
    """Read a stored input of a changing tool back from its normal form."""
    fields = json.loads(text)
    match name:
        case WriteFile.name:
            return WriteFile(**fields)
        case EditFile.name:
            return EditFile(fields["path"], tuple(Replacement(**edit) for edit in fields["edits"]))
        case Bash.name:
            return Bash(**fields)
        case _:
            raise ValueError(f"{name} is no changing tool")


def is_mutating(tool: ToolInput) -> bool:
    """Whether the tool may change files, and so needs a row of the journal."""
    match tool:
        case WriteFile() | EditFile() | Bash():
            return True
        case ReadFile() | Grep() | Glob() | TakeScreenshot():
            return False
        case _:
            assert_never(tool)
