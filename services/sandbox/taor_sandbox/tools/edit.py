"""edit_file: passages found exactly once, replaced all or none, with help when they are not found."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from taor_sandbox.backends.port import Sandbox, WriteExit, WriteSpec
from taor_sandbox.outcome import FailureCode, Outcome, SeenFile, ToolFailed
from taor_sandbox.tools import misses
from taor_sandbox.tools.files import as_lf, ends_with_crlf, left, read_text, refused
from taor_sandbox.tools.inputs import EditFile, Replacement
from taor_sandbox.tools.paths import inside

IsNews = Callable[[SeenFile], Awaitable[bool]]
"""Tells whether a file holds what the agent has not seen, although it has seen the file."""

_MOST_PLACES_NAMED = 10


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
    after = await asyncio.to_thread(apply, before, wanted.edits, wanted.path)  # a miss takes its time
    unchanged_sha256 = found.content_sha256.hex()
    return WriteSpec(op_id, epoch, nonce, found.path, after.encode(), expected_sha256=unchanged_sha256)


def apply(content: str, edits: Sequence[Replacement], path: str) -> str:
    """The content after every replacement, each applied to what the one before left; raises ToolFailed.

    Where every line ends with CR LF, passages may be written with LF alone, and every line ends with CR LF afterwards.
    """
    if not edits:
        raise ToolFailed(FailureCode.BAD_INPUT, "There is no replacement in this edit.")
    if ends_with_crlf(content):
        with_lf = [Replacement(as_lf(edit.old_text), as_lf(edit.new_text)) for edit in edits]
        return apply(as_lf(content), with_lf, path).replace("\n", "\r\n")
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
    at = content.find(edit.old_text)
    if at < 0:
        message = f"{where}: not found, nothing was changed.{misses.nearest(content, edit.old_text)}"
        raise ToolFailed(FailureCode.NO_MATCH, message)
    if content.find(edit.old_text, at + 1) >= 0:  # also where the two overlap, which `count` takes for one
        count = max(content.count(edit.old_text), 2)
        message = (
            f"{where}: found {count} times (at lines {_places(content, edit.old_text)}), nothing was changed. "
            "Include more of the lines around it."
        )
        raise ToolFailed(FailureCode.AMBIGUOUS_MATCH, message)
    return content[:at] + edit.new_text + content[at + len(edit.old_text) :]


def _places(content: str, passage: str) -> str:
    lines: list[str] = []
    at = content.find(passage)
    while at >= 0 and len(lines) < _MOST_PLACES_NAMED:
        lines.append(str(content.count("\n", 0, at) + 1))
        at = content.find(passage, at + 1)
    return ", ".join(lines) + (", …" if at >= 0 else "")
