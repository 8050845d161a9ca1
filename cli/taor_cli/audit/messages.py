"""The content of logged messages, read with distrust: what is no message has no blocks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from taor_cli.audit.evidence import LogRow


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call in an answer of the model; `index` is the number of its content block."""

    index: int
    tool_use_id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to a tool call."""

    tool_use_id: str
    text: str
    failed: bool


def is_object(row: LogRow) -> bool:
    """Whether the body is a JSON object."""
    return isinstance(_parse(row), dict)


def fields(row: LogRow) -> Mapping[str, object]:
    """The body as a JSON object; empty when it is none."""
    parsed = _parse(row)
    return parsed if isinstance(parsed, dict) else {}


def tool_uses(row: LogRow) -> tuple[ToolUse, ...]:
    """The tool calls of an answer, in order."""
    return tuple(
        ToolUse(index, str(block.get("id")), str(block.get("name")), _arguments(block.get("input")))
        for index, block in enumerate(_blocks(row))
        if block.get("type") == "tool_use"
    )


def tool_results(row: LogRow) -> tuple[ToolResult, ...]:
    """The tool results of a user message, in order."""
    return tuple(
        ToolResult(str(block.get("tool_use_id")), _text(block.get("content")), bool(block.get("is_error")))
        for block in _blocks(row)
        if block.get("type") == "tool_result"
    )


def said(row: LogRow) -> str:
    """The text of a message."""
    return "\n".join(texts(row))


def texts(row: LogRow) -> tuple[str, ...]:
    """The text blocks of a message, in order."""
    return tuple(str(block.get("text", "")) for block in _blocks(row) if block.get("type") == "text")


def _parse(row: LogRow) -> object:
    try:
        parsed: object = json.loads(row.body)
    except ValueError:
        return None
    return parsed


def _blocks(row: LogRow) -> list[Mapping[str, object]]:
    content = fields(row).get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _arguments(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return str(content or "")
