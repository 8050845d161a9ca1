"""Pure: which pictures a request has room for.

A request carries every picture of its segment, and what it carries is never taken out again; so what would not fit is
refused while there is still a tool call to say so. Limits of the Messages API: platform.claude.com, "Vision".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.transcript import ToolAnswer, picture_sizes

MAX_MESSAGE_BYTES = 4_000_000
"""Of one message, in base64 as all sizes here: an entry of the log may have 8 MiB."""
MAX_SEGMENT_BYTES = 14_000_000
"""Of one request, which may have 32 MB in all, and 20 MB where Bedrock stands behind the API."""
MAX_SEGMENT_PICTURES = 100
"""Of one request, for the models that take the fewest."""

_ALONE = "Not shown: too many pictures at once. Look at this one by itself."
_NEVER = "Not shown: this build has looked at as many pictures as one request can carry. Find it out by other means."


def fitting(answers: Sequence[ToolAnswer], history: History) -> Iterator[ToolAnswer]:
    """The answers, those whose picture has no room turned into failures that say so."""
    sizes = _sizes_of_segment(history) if any(answer.image for answer in answers) else []
    message_room = MAX_MESSAGE_BYTES
    for answer in answers:
        if answer.image is None:
            yield answer
            continue
        size = _base64_bytes(len(answer.image.content))
        if len(sizes) >= MAX_SEGMENT_PICTURES or sum(sizes) + size > MAX_SEGMENT_BYTES:
            yield _without(answer, _NEVER)
        elif size > message_room:
            yield _without(answer, _ALONE)
        else:
            sizes.append(size)
            message_room -= size
            yield answer


def _sizes_of_segment(history: History) -> list[int]:
    sizes: list[int] = []
    for entry in _segment(history):
        sizes += picture_sizes(entry)
    return sizes


def _segment(history: History) -> Iterator[Entry]:
    """The entries that the next request consists of, newest first."""
    for entry in reversed(history.entries):
        if entry.kind is EntryKind.HEAD:
            return
        yield entry


def _without(answer: ToolAnswer, why: str) -> ToolAnswer:
    return replace(answer, text=f"{answer.text}\n{why}", failed=True, image=None)


def _base64_bytes(size: int) -> int:
    return -(-size // 3) * 4
