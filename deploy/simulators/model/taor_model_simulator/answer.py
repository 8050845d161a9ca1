"""Turns a step into the message that the real API would send: blocks, stop reason, usage, cut at `max_tokens`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from taor_model_simulator.cache import PromptUsage
from taor_model_simulator.prefix import BYTES_PER_TOKEN, Prefix, sign, tokens
from taor_model_simulator.request import Object, Request
from taor_model_simulator.script import Step


@dataclass(frozen=True, slots=True)
class Block:
    """One content block: `head` is its beginning as streamed, `body` the text that grows, under the name `field`."""

    head: Object
    field: str
    body: str
    signature: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A whole answer."""

    id: str
    model: str
    blocks: tuple[Block, ...]
    stop_reason: str
    prompt: PromptUsage
    output_tokens: int


def compose(step: Step, request: Request, prefix: Prefix, prompt: PromptUsage) -> Message:
    """The answer of this step to this request; the same request always gets the same bytes."""
    whole = _blocks(step, request, prefix)
    wanted = sum(tokens(len(block.body)) for block in whole)
    if wanted > request.max_tokens:
        blocks, stop, output = _cut(whole, request.max_tokens), "max_tokens", request.max_tokens
    else:
        blocks, stop, output = whole, step.stop or ("tool_use" if step.tools else "end_turn"), wanted
    return Message(f"msg_{_name(prefix, 'message')}", request.model, tuple(blocks), stop, prompt, output)


def usage(message: Message) -> Object:
    """The usage of a whole message, with the split of cache writes by their life."""
    prompt = message.prompt
    return {
        "input_tokens": prompt.input_tokens,
        "cache_creation_input_tokens": prompt.cache_write_5m_tokens + prompt.cache_write_1h_tokens,
        "cache_read_input_tokens": prompt.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": prompt.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": prompt.cache_write_1h_tokens,
        },
        "output_tokens": message.output_tokens,
        "service_tier": "standard",
    }


def as_object(message: Message) -> Object:
    """The message as one JSON object, for a request that does not stream."""
    return {
        **envelope(message),
        "content": [_content(block) for block in message.blocks],
        "stop_reason": message.stop_reason,
    }


def envelope(message: Message) -> Object:
    """The message before its first block."""
    head: Object = {"id": message.id, "type": "message", "role": "assistant", "model": message.model, "content": []}
    return {**head, "stop_reason": None, "stop_sequence": None, "usage": usage(message)}


def _blocks(step: Step, request: Request, prefix: Prefix) -> list[Block]:
    blocks = []
    if step.think and request.thinks:
        head: Object = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.append(Block(head, "thinking", step.think, signature=sign(step.think, prefix.digest)))
    if step.say:
        blocks.append(Block({"type": "text", "text": ""}, "text", step.say))
    for number, tool in enumerate(step.tools):
        use: Object = {"type": "tool_use", "id": f"toolu_{_name(prefix, str(number))}", "name": tool.name, "input": {}}
        blocks.append(Block(use, "input", orjson.dumps(tool.input).decode()))
    return blocks


def _cut(blocks: list[Block], max_tokens: int) -> list[Block]:
    kept, left = [], max_tokens * BYTES_PER_TOKEN
    for block in blocks:
        if left <= 0:
            break
        cut = len(block.body) > left
        # A thinking block that is cut off never gets its signature.
        kept.append(Block(block.head, block.field, block.body[:left], "" if cut else block.signature, cut))
        left -= len(block.body)
    return kept


def _content(block: Block) -> Object:
    if block.field == "input":
        return {**block.head, "input": {} if block.cut else orjson.loads(block.body)}
    signed: Object = {"signature": block.signature} if block.field == "thinking" else {}
    return {**block.head, block.field: block.body, **signed}


def _name(prefix: Prefix, part: str) -> str:
    return hashlib.sha256(prefix.digest + part.encode()).hexdigest()[:24]
