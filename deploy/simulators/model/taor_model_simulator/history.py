"""The rules that a history must obey in the real API's words: a client that passes here passes there."""

from __future__ import annotations

from collections.abc import Iterator

from taor_model_simulator.errors import Refused
from taor_model_simulator.prefix import Prefix, sign
from taor_model_simulator.request import Message, Object, Request

MAX_MARKS = 4
USER_BLOCKS = frozenset({"text", "image", "document", "tool_result", "search_result"})
ASSISTANT_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def validate(request: Request, prefix: Prefix) -> None:
    """Raise `Refused` for the first rule that this request breaks."""
    if request.messages[0].role != "user":
        raise Refused('messages: first message must use the "user" role')
    if request.messages[-1].role != "user":
        raise Refused(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    _check_marks(request, prefix)
    _check_blocks(request)
    _check_tool_results(request)
    _check_signatures(request, prefix)


def turns(messages: tuple[Message, ...]) -> Iterator[tuple[int, str, list[Object]]]:
    """Index, role and blocks of each turn: consecutive messages of one role are one turn."""
    start, role, blocks = 0, "", list[Object]()
    for index, message in enumerate(messages):
        if message.role == role:
            blocks = blocks + message.blocks
            continue
        if role:
            yield start, role, blocks
        start, role, blocks = index, message.role, message.blocks
    yield start, role, blocks


def _check_marks(request: Request, prefix: Prefix) -> None:
    controls = [control for _, control in sorted(prefix.marks.items())]
    for control in controls:
        if control.get("type") != "ephemeral" or control.get("ttl", "5m") not in ("5m", "1h"):
            raise Refused("cache_control: Input should be {'type': 'ephemeral', 'ttl': '5m' or '1h'}")
    if len(controls) > MAX_MARKS:
        raise Refused(f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {len(controls)}.")
    lives = [str(control.get("ttl", "5m")) for control in controls]
    if lives != sorted(lives):  # "1h" sorts before "5m"
        raise Refused("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")


def _check_blocks(request: Request) -> None:
    for index, message in enumerate(request.messages):
        allowed = USER_BLOCKS if message.role == "user" else ASSISTANT_BLOCKS
        for number, block in enumerate(message.blocks):
            kind = block["type"]
            if kind not in allowed:
                raise Refused(
                    f"messages.{index}.content.{number}: `{kind}` blocks are not allowed in {message.role} messages"
                )
            if kind == "text" and not str(block.get("text", "")).strip():
                raise Refused(f"messages.{index}: text content blocks must contain non-whitespace text")
            if kind == "tool_use" and not isinstance(block.get("input"), dict):
                raise Refused(f"messages.{index}.content.{number}.tool_use.input: Input should be a valid dictionary")


def _check_tool_results(request: Request) -> None:
    pending: list[str] = []
    asked_at, seen = 0, set[str]()
    for index, role, blocks in turns(request.messages):
        if role == "user":
            _match_results(index, blocks, pending, asked_at)
            pending = []
            continue
        pending, asked_at = [str(block.get("id")) for block in blocks if block["type"] == "tool_use"], index
        if len(seen | set(pending)) != len(seen) + len(pending):
            raise Refused(f"messages.{index}: `tool_use` ids must be unique")
        seen.update(pending)


def _match_results(index: int, blocks: list[Object], pending: list[str], asked_at: int) -> None:
    leading = _leading_results(blocks)
    if missing := [use for use in pending if use not in leading]:
        raise Refused(
            f"messages.{asked_at}: `tool_use` ids were found without `tool_result` blocks immediately after:"
            f" {', '.join(missing)}."
            " Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
    results = [str(block.get("tool_use_id")) for block in blocks if block["type"] == "tool_result"]
    if stray := [use for use in results if use not in pending]:
        raise Refused(
            f"messages.{index}.content.{results.index(stray[0])}:"
            f" unexpected `tool_use_id` found in `tool_result` blocks: {stray[0]}."
            " Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
        )
    if len(set(results)) != len(results):
        raise Refused(f"messages.{index}: each tool_use must have a single result")


def _leading_results(blocks: list[Object]) -> list[str]:
    """Results count only before any other content."""
    leading: list[str] = []
    for block in blocks:
        if block["type"] != "tool_result":
            break
        leading.append(str(block.get("tool_use_id")))
    return leading


def _check_signatures(request: Request, prefix: Prefix) -> None:
    position = prefix.first_message_block
    for index, message in enumerate(request.messages):
        for number, block in enumerate(message.blocks):
            if block["type"] == "thinking" and not _is_signed(block, prefix, position):
                raise Refused(
                    f"messages.{index}.content.{number}: Invalid `signature` in `thinking` block:"
                    " it is bound to the exact system, tools and messages before it, and something there has changed"
                )
            position += 1


def _is_signed(block: Object, prefix: Prefix, position: int) -> bool:
    before = prefix.digests[position - 1] if position else b""
    return block.get("signature") == sign(str(block.get("thinking")), before)
