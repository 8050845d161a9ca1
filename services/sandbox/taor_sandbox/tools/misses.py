"""What an agent is told of a passage that is not in a file: where the file is most like it, and where it differs."""

import difflib
import re
from collections.abc import Sequence

from taor_sandbox import truncation
from taor_sandbox.tools.files import as_lf, lines_of

_MOST_LINES_COMPARED = 5_000
_CHARACTERS_COMPARED = 120
"""Of a line: comparing costs its square."""
_LIKE = 0.6
_MOST_LINES_SHOWN = 15
_CHARACTERS_SHOWN = 500
_LINES_BEFORE = 2
_NUMBERED = re.compile(r" *\d+\t")


def nearest(content: str, passage: str) -> str:
    """A sentence, and the lines of the file around the first difference. It may take a second: call it in a thread."""
    if as_lf(passage) in as_lf(content):
        return " It is there, but some lines of this file end with CR LF: write \\r\\n where the file has it."
    lines, wanted = lines_of(content), lines_of(passage)
    if all(_NUMBERED.match(line) for line in wanted):
        return " Its lines begin with numbers, as read_file shows them and no file has them; leave these out."
    telling = next((number for number, line in enumerate(wanted) if line.strip()), 0)
    found = _most_like(lines, wanted[telling].strip())
    if found is None:
        return " No line of the file is like its first line; read the file again."
    begin = found - telling
    differs = max(_first_difference(lines, wanted, begin), 0)
    first = max(min(differs, len(lines) - 1) - _LINES_BEFORE, 0)
    last = min(max(begin + len(wanted), differs + 1) + _LINES_BEFORE, first + _MOST_LINES_SHOWN)
    shown = "".join(f"{number:>6}\t{_short(line)}\n" for number, line in enumerate(lines[first:last], first + 1))
    return f" The nearest lines differ from it first in line {differs + 1}:\n{shown}Compare spaces, tabs and quotes."


def _most_like(lines: Sequence[str], wanted: str) -> int | None:
    """The number of the line that is the same but for the space around it, or else most like it."""
    stripped = [line.strip() for line in lines]
    if wanted in stripped:
        return stripped.index(wanted)
    candidates = [line[:_CHARACTERS_COMPARED] for line in stripped[:_MOST_LINES_COMPARED]]
    close = difflib.get_close_matches(wanted[:_CHARACTERS_COMPARED], candidates, n=1, cutoff=_LIKE)
    return candidates.index(close[0]) if close else None


def _first_difference(lines: Sequence[str], wanted: Sequence[str], begin: int) -> int:
    """The number of the first line that is not as the passage says, if that begins in line `begin`."""
    for number, line in enumerate(wanted, begin):
        there = lines[number] if 0 <= number < len(lines) else None
        if there is None or not _fits(line, there, begins=number == begin, ends=number == begin + len(wanted) - 1):
            return number
    return begin


def _fits(line: str, there: str, *, begins: bool, ends: bool) -> bool:
    """Whether a line of a passage can stand there; the first and the last of them may be a part of a line."""
    if begins and ends:
        return line in there
    return there.endswith(line) if begins else there.startswith(line) if ends else there == line


def _short(line: str) -> str:
    return truncation.line(line, limit=_CHARACTERS_SHOWN)
