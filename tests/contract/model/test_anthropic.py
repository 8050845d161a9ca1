"""The adapter with the real SDK against the scripted model over HTTP: answers, and every way to fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest

from taor_orchestrator.model import open_model
from taor_orchestrator.model.port import (
    Answer,
    CallFailed,
    Delta,
    DeltaKind,
    FailureKind,
    Model,
    Outcome,
    StopReason,
    Text,
    Thinking,
    ToolUse,
)
from tests.support.scripted_model import Simulation

_EVENTS = b"".join(
    b"data: %s\n\n" % orjson.dumps(event)
    for event in (
        {"type": "message_start", "message": {"model": "claude-sonnet-5-5"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hello."}},
        {"type": "message_stop"},
    )
)
HELLO = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%s" % (len(_EVENTS), _EVENTS)
"""An answer as it is on the wire."""
LONG = "A sentence of the system prompt that is long enough to be cached. " * 100


@pytest.fixture
async def model(simulation: Simulation) -> AsyncIterator[Model]:
    opened = open_model(api_key="test", base_url=simulation.url)
    yield opened
    await opened.close()


def request(script: str, *answered: bytes, **fields: object) -> bytes:
    """A request body; every answered message is followed by a result for each of its tool calls."""
    messages: list[object] = [{"role": "user", "content": f"A brief.\ntaor-script: {script}"}]
    for message in answered:
        uses = [block["id"] for block in orjson.loads(message)["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": use, "content": "ok"} for use in uses]
        messages += [orjson.Fragment(message), {"role": "user", "content": results}]
    body = {"model": "claude-sonnet-5-5", "max_tokens": 4000, "thinking": {"type": "adaptive"}, "stream": True}
    return orjson.dumps({**body, **fields, "messages": messages})


async def ask(model: Model, body: bytes, seconds: float = 60.0, deltas: list[Delta] | None = None) -> Answer:
    return await model.call(body, on_delta=deltas.append if deltas is not None else None, timeout_seconds=seconds)


async def fail(model: Model, body: bytes, seconds: float = 60.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await ask(model, body, seconds)
    return caught.value


async def test_an_answer_is_read_and_its_bytes_are_accepted_again(model: Model) -> None:
    script = "synthetic turns=5 tools=2 think=300 mix=files bytes=300"
    answered: list[bytes] = []
    for _ in range(4):
        deltas: list[Delta] = []
        answer = await ask(model, request(script, *answered), deltas=deltas)
        answered.append(answer.message)
        thinking, text, *_ = answer.blocks
        assert isinstance(thinking, Thinking)
        assert isinstance(text, Text)
        assert thinking.text == "".join(delta.text for delta in deltas if delta.kind is DeltaKind.THINKING)
        assert text.text == "".join(delta.text for delta in deltas if delta.kind is DeltaKind.TEXT)
    answer = await ask(model, request(script, *answered))
    assert answer.stop_reason is StopReason.TOOL_USE
    [finish] = [block for block in answer.blocks if isinstance(block, ToolUse)]
    assert (finish.name, finish.complete, finish.input["outcome"]) == ("finish", True, "succeeded")
    assert answer.model == "claude-sonnet-5-5"
    assert answer.provider_request_id.startswith("req_")


async def test_one_changed_byte_before_a_thinking_block_is_refused(model: Model) -> None:
    script = "synthetic turns=5 think=300"
    first = await ask(model, request(script, system="Be brief."))
    failure = await fail(model, request(script, first.message, system="Be brief!"))
    assert (failure.kind, failure.outcome) == (FailureKind.INVALID_REQUEST, Outcome.REFUSED_UNBILLED)
    assert "signature" in failure.message


async def test_usage_is_what_the_server_billed(model: Model, simulation: Simulation) -> None:
    hour = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    cached = {"system": hour, "cache_control": {"type": "ephemeral"}}
    first = await ask(model, request("bench-3", **cached))
    second = await ask(model, request("bench-3", first.message, **cached))
    for answer, line in zip((first, second), simulation.record(), strict=True):
        billed = line["usage"]
        assert answer.usage is not None
        assert answer.usage.input_tokens == billed["input_tokens"]
        assert answer.usage.output_tokens == billed["output_tokens"]
        assert answer.usage.cache_read_tokens == billed["cache_read_input_tokens"]
        assert answer.usage.cache_write_5m_tokens == billed["cache_creation"]["ephemeral_5m_input_tokens"]
        assert answer.usage.cache_write_1h_tokens == billed["cache_creation"]["ephemeral_1h_input_tokens"]
        assert answer.usage.service_tier == "standard"
        assert answer.provider_request_id == line["request_id"]
    assert first.usage is not None
    assert first.usage.cache_write_1h_tokens > 1000
    assert second.usage is not None
    assert second.usage.cache_read_tokens > 1000


async def test_a_tool_call_cut_by_max_tokens_is_marked_and_can_be_sent_again(model: Model) -> None:
    script = "synthetic turns=3 mix=files bytes=4000"
    cut = await ask(model, request(script, max_tokens=100))
    assert cut.stop_reason is StopReason.MAX_TOKENS
    [use] = [block for block in cut.blocks if isinstance(block, ToolUse)]
    assert (use.complete, use.input) == (False, {})
    again = await ask(model, request(script, cut.message))
    assert isinstance(again.blocks[-1], ToolUse)
    assert again.blocks[-1].complete


async def test_thinking_cut_by_max_tokens_leaves_a_message_that_can_be_sent_again(model: Model) -> None:
    cut = await ask(model, request("synthetic turns=3 think=4000", max_tokens=20))
    assert [type(block) for block in cut.blocks] == [Text]
    messages = [{"role": "user", "content": "Hi.\ntaor-script: bench-3"}, orjson.Fragment(cut.message)]
    messages.append({"role": "user", "content": "Go on."})
    body = orjson.dumps({"model": "m", "max_tokens": 99, "stream": True, "messages": messages})
    assert (await ask(model, body)).blocks


@dataclass(frozen=True)
class Fate:
    """A fault of the script, and what the adapter must make of it."""

    fault: str
    kind: FailureKind
    outcome: Outcome
    retryable: bool


FATES = [
    Fate("rate_limited", FailureKind.RATE_LIMITED, Outcome.REFUSED_UNBILLED, retryable=True),
    Fate("spend_limit", FailureKind.PROVIDER_SPEND_LIMIT, Outcome.REFUSED_UNBILLED, retryable=False),
    Fate("overloaded", FailureKind.OVERLOADED, Outcome.REFUSED_UNBILLED, retryable=True),
    Fate("invalid_request", FailureKind.INVALID_REQUEST, Outcome.REFUSED_UNBILLED, retryable=False),
    Fate("unauthorized", FailureKind.CREDENTIALS, Outcome.REFUSED_UNBILLED, retryable=False),
    Fate("server_error", FailureKind.SERVER_ERROR, Outcome.UNKNOWN, retryable=True),
    Fate("bad_gateway", FailureKind.SERVER_ERROR, Outcome.UNKNOWN, retryable=True),
    Fate("gateway_timeout", FailureKind.TIMEOUT, Outcome.UNKNOWN, retryable=True),
    Fate("stream_error", FailureKind.OVERLOADED, Outcome.UNKNOWN, retryable=True),
    Fate("reset", FailureKind.INTERRUPTED, Outcome.UNKNOWN, retryable=True),
    Fate("truncate", FailureKind.INTERRUPTED, Outcome.UNKNOWN, retryable=True),
]


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.fault)
async def test_a_fault_is_told_apart_and_sent_once(model: Model, simulation: Simulation, fate: Fate) -> None:
    simulation.write("faulty", f'[[step]]\nsay = "Hello."\nfault = {{ kind = "{fate.fault}" }}\n')
    failure = await fail(model, request("faulty"))
    assert (failure.kind, failure.outcome, failure.retryable) == (fate.kind, fate.outcome, fate.retryable)
    [line] = simulation.record()  # one line: the SDK must not repeat a call by itself
    assert failure.provider_request_id == line["request_id"]
    assert (await ask(model, request("faulty"))).blocks == (Text("Hello."),)


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.fault)
async def test_what_was_billed_is_never_called_unbilled(model: Model, simulation: Simulation, fate: Fate) -> None:
    simulation.write("faulty", f'[[step]]\nsay = "Hello."\nfault = {{ kind = "{fate.fault}" }}\n')
    failure = await fail(model, request("faulty"))
    [line] = simulation.record()
    assert not line["billed"] or failure.outcome is Outcome.UNKNOWN
    if line["billed"]:
        assert failure.partial_usage is not None
        assert failure.partial_usage.input_tokens == line["usage"]["input_tokens"]


async def test_the_provider_says_when_to_come_back(model: Model, simulation: Simulation) -> None:
    simulation.write("busy", '[[step]]\nsay = "x"\nfault = { kind = "overloaded", retry_after = "7" }\n')
    assert (await fail(model, request("busy"))).retry_after_seconds == 7.0


async def test_a_stalled_stream_ends_with_the_watchdog(model: Model, simulation: Simulation) -> None:
    simulation.write("stalls", '[[step]]\nsay = "Hello."\nfault = { kind = "stall", seconds = 30, times = 3 }\n')
    for seconds in (0.3, 3.0, 25.0):  # the first that is long enough for this machine to come to the stall
        failure = await fail(model, request("stalls"), seconds=seconds)
        assert (failure.kind, failure.outcome) == (FailureKind.TIMEOUT, Outcome.UNKNOWN)
        if failure.partial_usage is not None:
            return
    raise AssertionError("nothing had come before the stall")


async def test_an_answer_that_never_begins_ends_with_the_watchdog(model: Model) -> None:
    failure = await fail(model, request("synthetic turns=2 latency_ms=30000"), seconds=0.3)
    assert (failure.kind, failure.outcome) == (FailureKind.TIMEOUT, Outcome.UNKNOWN)
    assert failure.partial_usage is None


async def test_a_server_that_is_not_there_was_never_asked() -> None:
    absent = open_model(api_key="test", base_url="http://127.0.0.1:9")
    failure = await fail(absent, request("bench-2"))
    await absent.close()
    assert (failure.kind, failure.outcome, failure.retryable) == (FailureKind.CONNECTION, Outcome.NOT_SENT, True)


@pytest.mark.parametrize("calls_before", [0, 1], ids=["new connection", "kept connection"])
async def test_a_server_that_hangs_up_without_a_word_may_bill(calls_before: int) -> None:
    """The transport calls this by the name of a server that is not there."""
    answers = [HELLO] * calls_before + [b""]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(size)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    model = open_model(api_key="test", base_url=f"http://{host}:{port}")
    for _ in range(calls_before):
        await ask(model, request("bench-2"))
    failure = await fail(model, request("bench-2"))
    await model.close()
    server.close()
    assert (failure.kind, failure.outcome) == (FailureKind.INTERRUPTED, Outcome.UNKNOWN)


async def test_missing_usage_is_unknown_and_not_zero(model: Model, simulation: Simulation) -> None:
    simulation.write("silent", '[[step]]\nsay = "Hello."\nfault = { kind = "no_usage" }\n')
    assert (await ask(model, request("silent"))).usage is None


async def test_many_calls_share_one_model_and_a_cancelled_one_harms_none(model: Model) -> None:
    body = request("synthetic turns=2 latency_ms=500")
    calls = [asyncio.create_task(ask(model, body)) for _ in range(40)]
    await asyncio.sleep(0)
    calls[0].cancel()
    began = time.monotonic()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert all(not isinstance(outcome, BaseException) for outcome in outcomes[1:])
    assert time.monotonic() - began < 10, "the calls wait side by side"
