"""A Messages API request, read strictly: a field that the real API does not know is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from taor_model_simulator.errors import Refused

Object = dict[str, object]

KNOWN_FIELDS = frozenset(
    [
        *("model", "messages", "max_tokens", "system", "tools", "tool_choice", "stream", "stop_sequences", "metadata"),
        *("thinking", "output_config", "cache_control", "service_tier", "speed", "container", "inference_geo"),
        *("context_management", "temperature", "top_p", "top_k", "mcp_servers"),
    ]
)
# What the models of our plans do where a request says nothing of it (docs/decisions/0008).
BY_DEFAULT: Object = {"type": "adaptive"}
MAX_OUTPUT_TOKENS = 128_000
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class Message:
    """One message; a plain string as content is read as one text block."""

    role: str
    blocks: list[Object]


@dataclass(frozen=True, slots=True)
class Request:
    """What one call asks for. `messages` are as sent; consecutive ones of a role count as one turn."""

    model: str
    max_tokens: int
    stream: bool
    thinks: bool
    system: list[Object]
    tools: list[Object]
    messages: tuple[Message, ...]
    cache_control: Object | None
    user_id: str
    sha256: str

    @property
    def told(self) -> Iterator[str]:
        """The texts of all user messages, without the results of tools."""
        blocks = (block for message in self.messages if message.role == "user" for block in message.blocks)
        return (str(block.get("text", "")) for block in blocks if block.get("type") == "text")

    @property
    def opening(self) -> str:
        """The text of the first user message, where the brief stands."""
        return "\n".join(str(block.get("text", "")) for block in self.messages[0].blocks if block.get("type") == "text")


def parse(body: bytes, *, counting: bool = False) -> Request:
    """Read a request body, or raise `Refused` in the real API's words; when counting, `max_tokens` may be missing."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"The request body is not valid JSON: {error}") from error
    fields = _object(raw, "body")
    if unknown := sorted(fields.keys() - KNOWN_FIELDS):
        raise Refused(f"{unknown[0]}: Extra inputs are not permitted")
    _refuse_forced_tools(fields.get("tool_choice"))
    return Request(
        model=_model(fields),
        max_tokens=1 if counting else _max_tokens(fields),
        stream=fields.get("stream") is True,
        thinks=_object(fields.get("thinking", BY_DEFAULT), "thinking").get("type") in ("enabled", "adaptive"),
        system=_blocks(fields.get("system", []), "system"),
        tools=_tools(fields.get("tools", [])),
        messages=_messages(fields.get("messages")),
        cache_control=_object(fields["cache_control"], "cache_control") if fields.get("cache_control") else None,
        user_id=str(_object(fields.get("metadata", {}), "metadata").get("user_id", "")),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def _object(value: object, where: str) -> Object:
    if not isinstance(value, dict):
        raise Refused(f"{where}: Input should be a valid dictionary")
    return value


def _model(fields: Object) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise Refused("model: Field required")
    return model


def _max_tokens(fields: Object) -> int:
    limit = fields.get("max_tokens")
    if limit is None:
        raise Refused("max_tokens: Field required")
    if not isinstance(limit, int) or limit < 1:
        raise Refused("max_tokens: Input should be greater than or equal to 1")
    if limit > MAX_OUTPUT_TOKENS:
        raise Refused(
            f"max_tokens: {limit} > {MAX_OUTPUT_TOKENS}, which is the maximum allowed number of output tokens"
        )
    return limit


def _refuse_forced_tools(choice: object) -> None:
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        raise Refused("tool_choice: forcing tool use is not supported by this model")


def _tools(value: object) -> list[Object]:
    if not isinstance(value, list):
        raise Refused("tools: Input should be a valid list")
    names: set[object] = set()
    for index, tool in enumerate(value):
        name = _object(tool, f"tools.{index}").get("name")
        if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
            raise Refused(f"tools.{index}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if name in names:
            raise Refused("tools: Tool names must be unique.")
        if _object(tool.get("input_schema"), f"tools.{index}.input_schema").get("type") != "object":
            raise Refused(f"tools.{index}.input_schema.type: Input should be 'object'")
        names.add(name)
    return value


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise Refused("messages: at least one message is required")
    return tuple(_message(message, f"messages.{index}") for index, message in enumerate(value))


def _message(value: object, where: str) -> Message:
    fields = _object(value, where)
    role = fields.get("role")
    if role not in ("user", "assistant"):
        raise Refused(f"{where}.role: Input should be 'user' or 'assistant'")
    if unknown := sorted(fields.keys() - {"role", "content"}):
        raise Refused(f"{where}.{unknown[0]}: Extra inputs are not permitted")
    blocks = _blocks(fields.get("content"), where)
    if not blocks:
        raise Refused(f"{where}: all messages must have non-empty content")
    return Message(str(role), blocks)


def _blocks(content: object, where: str) -> list[Object]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise Refused(f"{where}.content: Input should be a valid list")
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise Refused(f"{where}.content.{index}.type: Field required")
    return content
