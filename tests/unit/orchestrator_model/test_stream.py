"""Reading a stream: however the bytes are cut, and whatever a compatible server leaves out."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_orchestrator.model.assembly import Assembly, MalformedStream
from taor_orchestrator.model.port import Opaque, StopReason, Text, Thinking, ToolUse, Usage
from taor_orchestrator.model.sse import MAX_EVENT_BYTES, EventReader, EventTooLong

Json = dict[str, Any]
START: Json = {"type": "message_start", "message": {"model": "m", "content": [], "usage": {"input_tokens": 3}}}
STOP = {"type": "message_stop"}


def end(reason: str = "end_turn", **usage: object) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5, **usage}}


def begin(index: int, **block: object) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, **delta: object) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def tool(index: int, *parts: str) -> list[Json]:
    first = begin(index, type="tool_use", id=f"t{index}", name="bash", input={})
    return [first, *(piece(index, type="input_json_delta", partial_json=part) for part in parts)]


def assemble(*events: object) -> Assembly:
    assembly = Assembly()
    for event in events:
        assembly.add(orjson.dumps(event))
    return assembly


def content(assembly: Assembly) -> list[Json]:
    message: Json = orjson.loads(assembly.answer("r").message)
    return list(message["content"])


def usage(*events: object) -> Usage:
    told = assemble(*events).answer("r").usage
    assert told is not None
    return told


def only_use(assembly: Assembly) -> ToolUse:
    [block] = assembly.answer("r").blocks
    assert isinstance(block, ToolUse)
    return block


@given(
    events=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=5),
    newline=st.sampled_from(["\n", "\r\n"]),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=50),
)
def test_events_are_the_same_however_the_bytes_are_cut(events: list[str], newline: str, cuts: list[int]) -> None:
    data = [json.dumps(event).encode() for event in events]
    stream = b"".join(f"event: x{newline}data: ".encode() + one + (newline * 2).encode() for one in data)
    reader, read, at = EventReader(), [], 0
    for cut in (cuts * (len(stream) // len(cuts) + 1))[: len(stream)]:
        read += list(reader.feed(stream[at : at + cut]))
        at += cut
    assert read == data


def test_comments_and_events_without_data_are_skipped() -> None:
    reader = EventReader()
    assert list(reader.feed(b": keep-alive\n\nevent: ping\n\ndata:{}\n\ndata: a\ndata: b\n\n")) == [b"{}", b"a\nb"]


def test_an_endless_event_is_refused() -> None:
    reader = EventReader()
    assert list(reader.feed(b"x" * (MAX_EVENT_BYTES - 1))) == []
    with pytest.raises(EventTooLong):
        list(reader.feed(b"xx"))


def test_tool_input_is_kept_byte_for_byte() -> None:
    parts = ['{"command": "a\\u00e9', '",  "n": 1.0', "0}"]
    assembly = assemble(START, *tool(0, *parts), end("tool_use"), STOP)
    assert "".join(parts).encode() in assembly.answer("r").message
    assert assembly.answer("r").blocks == (ToolUse("t0", "bash", {"command": "aé", "n": 1.0}, complete=True),)


def test_a_tool_without_input_has_an_empty_one() -> None:
    assert only_use(assemble(START, *tool(0), end("tool_use"), STOP)).complete


@pytest.mark.parametrize("text", ['{"a": 1', "[1]", "null", "nonsense"])
def test_input_that_is_no_object_is_not_to_be_run(text: str) -> None:
    assembly = assemble(START, *tool(0, text), end("tool_use"), STOP)
    assert not only_use(assembly).complete
    assert content(assembly)[0]["input"] == {}


def test_the_last_call_of_a_cut_answer_is_not_to_be_run_even_if_it_parses() -> None:
    assembly = assemble(START, *tool(0, '{"a":1}'), *tool(1, '{"a":1}'), end("max_tokens"), STOP)
    uses = [block for block in assembly.answer("r").blocks if isinstance(block, ToolUse)]
    assert [use.complete for use in uses] == [True, False]


def test_blocks_that_the_provider_would_refuse_again_are_left_out() -> None:
    events = [
        begin(0, type="thinking", thinking="", signature=""),
        piece(0, type="thinking_delta", thinking="never signed"),
        begin(1, type="text", text=""),
        begin(2, type="text", text=""),
        piece(2, type="text_delta", text="said"),
        begin(3, type="redacted_thinking", data="x"),
        begin(4, type="novelty", payload=[1]),
    ]
    assembly = assemble(START, *events, end(), STOP)
    assert assembly.answer("r").blocks == (Text("said"), Thinking(""), Opaque("novelty"))
    assert content(assembly)[2] == {"type": "novelty", "payload": [1]}


def test_an_answer_without_a_word_still_makes_a_message() -> None:
    assembly = assemble(START, end("refusal"), STOP)
    assert assembly.answer("r").stop_reason is StopReason.REFUSAL
    assert content(assembly)[0]["type"] == "text"


def test_a_new_stop_reason_is_other() -> None:
    assert assemble(START, end("bored"), STOP).answer("r").stop_reason is StopReason.OTHER


@pytest.mark.parametrize(
    "event",
    [
        [],
        {},
        piece(0, type="text_delta", text="no block"),
        begin(1, type="text", text="a gap"),
        {"type": "message_start"},
        {"type": "message_delta"},
    ],
)
def test_events_that_do_not_fit_are_refused(event: object) -> None:
    with pytest.raises(MalformedStream):
        assemble(START, event)


def test_cache_writes_are_split_as_the_start_says_and_totals_are_those_of_the_end() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    counted = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 7,
        "cache_creation": split,
    }
    start = {"type": "message_start", "message": {"model": "m", "usage": counted}}
    told = usage(start, end(input_tokens=4), STOP)
    assert (told.input_tokens, told.cache_read_tokens, told.output_tokens) == (4, 7, 5)
    assert (told.cache_write_5m_tokens, told.cache_write_1h_tokens) == (10, 20)
    assert told.prompt_tokens == 41


def test_cache_writes_without_a_split_count_as_the_dearer_kind() -> None:
    told = usage(START, end(cache_creation_input_tokens=30), STOP)
    assert (told.cache_write_5m_tokens, told.cache_write_1h_tokens) == (0, 30)


@pytest.mark.parametrize("bad", [None, True, -1, "5"])
def test_an_output_count_that_is_no_count_makes_usage_unknown(bad: object) -> None:
    assert assemble(START, end(output_tokens=bad), STOP).answer("r").usage is None
