"""The scripted model refuses what the real API refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.support.scripted_model import Conversation, Json, Simulation

THINKING = "synthetic turns=6 think=90 tools=2"


async def refusal(talk: Conversation, **changes: object) -> str:
    status, answer = await talk.post(**changes)
    assert status == 400, answer
    assert answer["type"] == "error"
    assert answer["error"]["type"] == "invalid_request_error"
    return str(answer["error"]["message"])


async def test_a_conversation_without_a_script_is_told_how_to_get_a_real_model(simulation: Simulation) -> None:
    talk = simulation.converse("bench-3")
    talk.messages[0]["content"] = "Write a web shop."
    assert "ANTHROPIC_API_KEY" in await refusal(talk)


async def test_an_unknown_script_is_named(simulation: Simulation) -> None:
    assert "'nosuch'" in await refusal(simulation.converse("nosuch"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda m: m[2]["content"].pop(), "without `tool_result` blocks", id="a result is missing"),
        pytest.param(lambda m: m.pop(2), "must end with a user message", id="no results at all"),
        pytest.param(
            lambda m: m[2]["content"].append({**m[2]["content"][0], "tool_use_id": "toolu_x"}),
            "unexpected `tool_use_id`",
            id="a stray result",
        ),
        pytest.param(
            lambda m: m[2]["content"].append(dict(m[2]["content"][0])), "single result", id="a result given twice"
        ),
        pytest.param(
            lambda m: m[2]["content"].insert(0, {"type": "text", "text": "hm"}),
            "without `tool_result`",
            id="text first",
        ),
        pytest.param(
            lambda m: m.insert(0, {"role": "assistant", "content": "hi"}), "first message", id="assistant first"
        ),
        pytest.param(
            lambda m: m[2]["content"].append({"type": "text", "text": " "}), "non-whitespace", id="empty text"
        ),
        pytest.param(lambda m: m[0].update(name="x"), "messages.0.name: Extra inputs", id="unknown message field"),
        pytest.param(lambda m: m.extend(copy.deepcopy(m[1:3])), "ids must be unique", id="an id used twice"),
        pytest.param(
            lambda m: m[0].update(content=m[0]["content"] + "!"), "Invalid `signature`", id="a byte of the brief"
        ),
        pytest.param(lambda m: m[1]["content"][0].update(thinking="I was not"), "Invalid `signature`", id="thinking"),
    ],
)
async def test_a_damaged_history_is_refused(
    simulation: Simulation, damage: Callable[[list[Json]], object], words: str
) -> None:
    talk = simulation.converse(THINKING)
    await talk.turn()
    assert (await talk.post())[0] == 200
    damage(talk.messages)
    assert words in await refusal(talk)


@pytest.mark.parametrize("place", ["system", "tools"])
async def test_a_signature_holds_only_with_the_same_system_and_tools(simulation: Simulation, place: str) -> None:
    tool = {"name": "bash", "description": "Run.", "input_schema": {"type": "object"}}
    talk = simulation.converse(THINKING, system=[{"type": "text", "text": "Be brief."}], tools=[tool])
    await talk.turn()
    changed = {"system": [{"type": "text", "text": "Be brief!"}], "tools": [{**tool, "description": "Run!"}]}
    assert "Invalid `signature`" in await refusal(talk, **{place: changed[place]})


async def test_moving_a_cache_marker_changes_nothing_that_is_signed(simulation: Simulation) -> None:
    talk = simulation.converse(
        THINKING, system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    )
    await talk.turn()
    assert (await talk.post(system="Be brief.", cache_control={"type": "ephemeral"}))[0] == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temprature": 1}, "temprature: Extra inputs are not permitted"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.name"),
        ({"messages": []}, "at least one message"),
        ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "cache_control"),
    ],
)
async def test_a_malformed_request_is_refused(simulation: Simulation, changes: Json, words: str) -> None:
    assert words in await refusal(simulation.converse("bench-3"), **changes)


async def test_the_top_level_marker_counts_among_the_four(simulation: Simulation) -> None:
    marked = [{"type": "text", "text": f"Part {n}.", "cache_control": {"type": "ephemeral"}} for n in range(4)]
    talk = simulation.converse("bench-3", system=marked)
    assert (await talk.post())[0] == 200
    assert "Found 5" in await refusal(talk, cache_control={"type": "ephemeral"})


async def test_a_long_lived_marker_must_come_first(simulation: Simulation) -> None:
    mark = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}} for ttl in ("5m", "1h")]
    assert "must not come after" in await refusal(simulation.converse("bench-3", system=mark))


async def test_no_key_and_unknown_paths(simulation: Simulation) -> None:
    async with simulation.http.post(f"{simulation.url}/v1/messages", json={}) as answer:
        assert answer.status == 401
    async with simulation.http.get(f"{simulation.url}/v2/other") as answer:
        assert answer.status == 404
    async with simulation.http.get(f"{simulation.url}/health") as answer:
        assert answer.status == 200
