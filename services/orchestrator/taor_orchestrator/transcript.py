"""Pure reading of logged messages: which tools an answer asks for, and how they were answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from taor_orchestrator.history import Entry, EntryKind

CUT_OFF = "max_tokens"
_PICTURE = b'"type":"image"'
"""Inside a text its quotes would be escaped."""


@dataclass(frozen=True, slots=True)
class Use:
    """One tool call of an answer; it must not run unless `is_complete`: an answer may be cut off in its midst."""

    index: int
    tool_use_id: str
    name: str
    input: Mapping[str, object]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the model looks at."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool call came to, as the model reads it."""

    text: str
    failed: bool = False
    image: Image | None = None


def tool_uses(answer: Entry) -> tuple[Use, ...]:
    """The tool calls of an ASSISTANT entry in order; `index` is the number of the content block."""
    blocks = orjson.loads(answer.body)["content"]
    was_cut = answer.call is not None and answer.call.stop_reason == CUT_OFF
    last = len(blocks) - 1
    return tuple(
        Use(index, block["id"], block["name"], block["input"], not (was_cut and index == last))
        for index, block in enumerate(blocks)
        if block["type"] == "tool_use"
    )


def tools_of(answer: Entry) -> tuple[str, ...]:
    """The names of the tools that an answer asks for, one for each time."""
    return tuple(use.name for use in tool_uses(answer))


def texts(message: Entry) -> tuple[str, ...]:
    """The text blocks of a message."""
    return tuple(block["text"] for block in orjson.loads(message.body)["content"] if block["type"] == "text")


def tool_results(message: Entry) -> tuple[ToolAnswer, ...]:
    """The tool results of a USER entry, in the order of the calls that they answer; pictures are left in the log."""
    content = orjson.loads(message.body)["content"]
    return tuple(
        ToolAnswer(_text(block["content"]), block.get("is_error", False))
        for block in content
        if block["type"] == "tool_result"
    )


def picture_sizes(message: Entry) -> tuple[int, ...]:
    """How many bytes of the message each picture in its tool results takes."""
    if message.kind is not EntryKind.USER or _PICTURE not in message.body:
        return ()
    results = (block["content"] for block in orjson.loads(message.body)["content"] if block["type"] == "tool_result")
    blocks = (block for content in results if isinstance(content, list) for block in content)
    return tuple(len(block["source"]["data"]) for block in blocks if block["type"] == "image")


def _text(content: str | list[Mapping[str, str]]) -> str:
    """A result with a picture is a list of blocks, its text first."""
    return content if isinstance(content, str) else content[0]["text"]
