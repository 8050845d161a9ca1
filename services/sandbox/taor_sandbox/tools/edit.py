"""edit_file: passages found exactly once, replaced all or none, with help when they are not found."""

import difflib
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from taor_sandbox.backends.port import Sandbox, WriteExit, WriteSpec
from taor_sandbox.outcome import FailureCode, Outcome, SeenFile, ToolFailed
from taor_sandbox.tools.files import left, lines_of, read_text, refused
from taor_sandbox.tools.inputs import EditFile, Replacement
from taor_sandbox.tools.paths import inside

IsNews = Callable[[SeenFile], Awaitable[bool]]
"""Tells whether a file holds what the agent has not seen, although it has seen the file."""

_MOST_LINES_COMPARED = 5_000
_MOST_PLACES_NAMED = 10
_LINES_AROUND = 2


async def write_spec(
    sandbox: Sandbox, wanted: EditFile, op_id: str, epoch: int, nonce: str, is_news: IsNews | None
) -> WriteSpec:
    """The write that puts an edit into its file, if it is still the file that was read here; raises ToolFailed.

    That also where `is_news` says that the agent does not know what the file holds; None asks nobody."""
    before = await read_text(sandbox, wanted.path)
    found = SeenFile(inside(wanted.path), hashlib.sha256(before.encode()).digest())
    if is_news is not None and await is_news(found):
        message = f"{wanted.path} has changed since you last read or wrote it; nothing was changed. Read it again."
        raise ToolFailed(FailureCode.FILE_CHANGED, message)
    after = apply(before, wanted.edits, wanted.path)
    unchanged_sha256 = found.content_sha256.hex()
    return WriteSpec(op_id, epoch, nonce, found.path, after.encode(), expected_sha256=unchanged_sha256)


def apply(content: str, edits: Sequence[Replacement], path: str) -> str:
    """The content after every replacement, each applied to what the one before left; raises ToolFailed."""
    if not edits:
        raise ToolFailed(FailureCode.BAD_INPUT, "There is no replacement in this edit.")
    for number, edit in enumerate(edits, 1):
        content = _replace(content, edit, f"Edit {number} of {len(edits)} of {path}")
    return content


def edited(wanted: EditFile, exit: WriteExit) -> Outcome:
    """The result of an edit, from its exit record alone."""
    if exit.problem is not None:
        return refused(wanted.path, exit)
    count = len(wanted.edits)
    text = f"Edited {wanted.path}: {count} {'replacement' if count == 1 else 'replacements'}."
    return Outcome(text, seen=left(wanted.path, exit))


def _replace(content: str, edit: Replacement, where: str) -> str:
    if not edit.old_text:
        raise ToolFailed(
            FailureCode.BAD_INPUT, f"{where}: the passage to replace is empty; use write_file for a new file."
        )
    if edit.old_text == edit.new_text:
        raise ToolFailed(FailureCode.BAD_INPUT, f"{where}: the new passage is the same as the old one.")
    match content.count(edit.old_text):
        case 1:
            return content.replace(edit.old_text, edit.new_text)
        case 0:
            raise ToolFailed(
                FailureCode.NO_MATCH, f"{where}: not found, nothing was changed.{_nearest(content, edit.old_text)}"
            )
        case count:
            message = (
                f"{where}: found {count} times (at lines {_places(content, edit.old_text)}), nothing was changed. "
                "Include more of the lines around it."
            )
            raise ToolFailed(FailureCode.AMBIGUOUS_MATCH, message)


def _places(content: str, passage: str) -> str:
    lines: list[str] = []
    at = content.find(passage)
    while at >= 0 and len(lines) < _MOST_PLACES_NAMED:
        lines.append(str(content.count("\n", 0, at) + 1))
        at = content.find(passage, at + 1)
    return ", ".join(lines) + (", …" if at >= 0 else "")


def _nearest(content: str, passage: str) -> str:
    """The lines of the file that are most like the passage's first telling line."""
    lines = lines_of(content)[:_MOST_LINES_COMPARED]
    wanted = next((line.strip() for line in lines_of(passage) if line.strip()), "")
    stripped = [line.strip() for line in lines]
    if wanted in stripped:
        at = stripped.index(wanted)
    else:
        close = difflib.get_close_matches(wanted, stripped, n=1, cutoff=0.6)
        if not close:
            return " No line of the file is like its first line; read the file again."
        at = stripped.index(close[0])
    first, last = max(at - _LINES_AROUND, 0), min(at + _LINES_AROUND + len(lines_of(passage)), len(lines))
    shown = "\n".join(f"{number + 1:>6}\t{lines[number]}" for number in range(first, last))
    return f" The nearest lines are:\n{shown}\nCompare spaces, tabs and quotes."
