"""Pure: from the log to the bytes of the next request, and from content to the bytes of a message.

A request is its segment's HEAD with the closing brace replaced by
`,"max_tokens":N,"stream":true,"messages":[m1,m2,…]}`, where each m is the stored body of a USER or ASSISTANT entry. So
the bytes of a prefix never change, which the prompt cache and the signatures of thinking blocks need.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from importlib import resources

import orjson

from taor_orchestrator import pictures
from taor_orchestrator.build import Assignment
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.transcript import ToolAnswer, Use

_ONE_HOUR = {"type": "ephemeral", "ttl": "1h"}
_NOTHING = History()


def head_body(model: str, *, moving_cache_breakpoint: bool = True) -> bytes:
    """The HEAD of a segment: model, system prompt and tools, as sent. Some compatible servers refuse the breakpoint."""
    prompts = resources.files("taor_orchestrator") / "prompts"
    head = {
        "model": model,
        **({"cache_control": {"type": "ephemeral"}} if moving_cache_breakpoint else {}),
        "system": [{"type": "text", "text": (prompts / "system.md").read_text("utf-8"), "cache_control": _ONE_HOUR}],
        "tools": json.loads((prompts / "tools.json").read_text("utf-8")),
    }
    return orjson.dumps(head)


def assignment_body(build_id: str, assignment: Assignment) -> bytes:
    """The first user message: brief, clarifications and plan."""
    answers = "\n\n".join(f"Q: {each.question}\nA: {each.answer}" for each in assignment.clarifications)
    parts = [("Brief", assignment.brief), ("Questions and answers", answers), ("Plan", assignment.plan)]
    text = "\n\n".join(f"# {title}\n\n{content}" for title, content in parts if content)
    return _message("user", [{"type": "text", "text": f"taor-build: {build_id}\n\n{text}", "cache_control": _ONE_HOUR}])


def results_body(
    uses: Sequence[Use], answers: Sequence[ToolAnswer], notes: Sequence[str] = (), *, history: History = _NOTHING
) -> bytes:
    """The user message after `history` that answers every tool call of an answer, and then says `notes`."""
    results = [
        {"type": "tool_result", "tool_use_id": use.tool_use_id, "content": _content(answer)}
        | ({"is_error": True} if answer.failed else {})
        for use, answer in zip(uses, pictures.fitting(answers, history), strict=True)
    ]
    return _message("user", [*results, *({"type": "text", "text": note} for note in notes)])


def _content(answer: ToolAnswer) -> str | list[dict[str, object]]:
    text = answer.text or "(no output)"
    if answer.image is None:
        return text
    data = b64encode(answer.image.content).decode()
    source = {"type": "base64", "media_type": answer.image.media_type, "data": data}
    return [{"type": "text", "text": text}, {"type": "image", "source": source}]


def note_body(text: str) -> bytes:
    """A user message in plain words."""
    return texts_body([text])


def texts_body(texts: Sequence[str]) -> bytes:
    """A user message of several texts, a block for each."""
    return _message("user", [{"type": "text", "text": text} for text in texts])


def request_body(history: History, max_output_tokens: int) -> bytes:
    """The request that the log asks for next."""
    head, messages = _segment(history)
    settings = b',"max_tokens":%d,"stream":true,"messages":[' % max_output_tokens
    return b"".join((head.body[:-1], settings, b",".join(messages), b"]}"))


def _segment(history: History) -> tuple[Entry, list[bytes]]:
    """The HEAD of the newest segment and the messages after it."""
    heads = history.of(EntryKind.HEAD)
    if not heads:
        raise ValueError("the log has no HEAD")
    if history.of(EntryKind.OUTCOME):
        raise ValueError("a closed log asks for no request")
    return heads[-1], [entry.body for entry in history.entries[heads[-1].sequence :]]


def _message(role: str, content: Sequence[object]) -> bytes:
    return orjson.dumps({"role": role, "content": content})
