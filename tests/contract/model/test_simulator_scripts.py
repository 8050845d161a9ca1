"""The scripted model plays its scripts, derives the step from the history, and fails as they say."""

from __future__ import annotations

import re

from tests.support.scripted_model import Json, Simulation, tool_uses

LONG = "A sentence of the brief that is long enough to be cached. " * 120
CHECKED = """
title = "Two steps"
[[step]]
say = "I run the tests."
[[step.tool]]
name = "bash"
input = { command = "run-tests" }
expect = "exit status 1"
[[step]]
[[step.tool]]
name = "write_file"
input = { path = "a.txt" }
files = { content = "a.txt" }
"""


def calls(message: Json) -> list[tuple[str, Json]]:
    return [(use["name"], use["input"]) for use in tool_uses(message)]


async def test_a_script_goes_on_while_its_expectations_are_met(simulation: Simulation) -> None:
    (simulation.scripts / "a.txt").write_text("from a real file\n")
    simulation.write("checked", CHECKED)
    talk = simulation.converse("checked")
    assert calls(await talk.turn("… exit status 1")) == [("bash", {"command": "run-tests"})]
    assert calls(await talk.turn()) == [("write_file", {"path": "a.txt", "content": "from a real file\n"})]
    assert (await talk.turn())["stop_reason"] == "end_turn"


async def test_a_script_that_is_disappointed_says_why_and_finishes_as_failed(simulation: Simulation) -> None:
    (simulation.scripts / "a.txt").write_text("")
    simulation.write("checked", CHECKED)
    talk = simulation.converse("checked")
    await talk.turn("all fine")
    message = await talk.turn()
    [(name, finish)] = calls(message)
    assert (name, finish["outcome"]) == ("finish", "failed")
    assert "expected 'exit status 1' from bash run-tests" in message["content"][0]["text"]


async def test_a_script_with_a_mistake_names_the_step(simulation: Simulation) -> None:
    simulation.write("bad", '[[step]]\nsay = "x"\ntols = 1\n')
    status, answer = await simulation.converse("bad").post()
    assert status == 400
    assert "step 1: unknown key 'tols'" in answer["error"]["message"]


async def test_a_synthetic_script_has_as_many_turns_as_asked_and_ends_with_finish(simulation: Simulation) -> None:
    talk = simulation.converse("synthetic turns=9 tools=2 mix=files bytes=50")
    names = [[name for name, _ in calls(await talk.turn())] for _ in range(9)]
    assert all(len(turn) == 2 for turn in names[:-1])
    assert names[-2:] == [["bash", "bash"], ["finish"]]


async def test_the_same_request_gets_the_same_answer_and_ids_never_repeat(simulation: Simulation) -> None:
    talk = simulation.converse("synthetic turns=5 tools=3")
    ids: list[str] = []
    for _ in range(5):
        first, again = (await talk.post())[1], await talk.turn()
        assert first["content"] == again["content"]
        ids += [use["id"] for use in tool_uses(again)]
    assert len(set(ids)) == len(ids) == 13


async def test_it_thinks_unless_it_is_told_not_to(simulation: Simulation) -> None:
    for thinking, kinds in (({}, ["thinking", "text"]), ({"thinking": {"type": "disabled"}}, ["text"])):
        talk = simulation.converse("synthetic turns=2 think=90")
        del talk.body["thinking"]
        talk.body |= thinking
        message = await talk.turn()
        assert [block["type"] for block in message["content"]][: len(kinds)] == kinds


async def test_an_answer_cut_by_max_tokens_is_played_again(simulation: Simulation) -> None:
    talk = simulation.converse("synthetic turns=3 mix=files bytes=4000", max_tokens=20)
    cut = await talk.turn("not run: the call was cut off")
    assert cut["stop_reason"] == "max_tokens"
    assert cut["usage"]["output_tokens"] == 20
    assert calls(cut) == [("write_file", {})]
    talk.body["max_tokens"] = 4000
    whole = await talk.turn()
    assert len(calls(whole)[0][1]["content"]) == 4001


async def test_the_cache_reads_what_the_turn_before_wrote(simulation: Simulation) -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    talk = simulation.converse("bench-9", system=[{"type": "text", "text": LONG, "cache_control": hour}])
    talk.body["cache_control"] = {"type": "ephemeral"}
    first, second = [(await talk.turn())["usage"] for _ in range(2)]
    assert first["cache_read_input_tokens"] == 0
    assert first["cache_creation"]["ephemeral_1h_input_tokens"] > 1024
    written = first["cache_creation_input_tokens"]
    assert written == sum(first["cache_creation"].values())
    assert second["cache_read_input_tokens"] == written
    assert second["cache_creation"]["ephemeral_1h_input_tokens"] == 0
    assert 0 < second["cache_creation"]["ephemeral_5m_input_tokens"] < 200


async def test_a_changed_prefix_and_another_model_read_nothing(simulation: Simulation) -> None:
    talk = simulation.converse("bench-9", system=LONG, cache_control={"type": "ephemeral"})
    await talk.turn()
    for change in ({"system": LONG + "!"}, {"model": "claude-opus-5-5"}):
        assert (await talk.post(**change))[1]["usage"]["cache_read_input_tokens"] == 0


async def test_the_record_tells_what_was_billed_and_what_was_not(simulation: Simulation) -> None:
    simulation.write("faulty", '[[step]]\nsay = "hello"\nfault = { kind = "overloaded", times = 2 }\n')
    talk = simulation.converse("faulty", metadata={"user_id": "user-1"})
    answers = [await talk.post(max_tokens=1000 + attempt) for attempt in range(3)]
    assert [status for status, _ in answers] == [529, 529, 200]
    lines = simulation.record()
    assert [(line["status"], line["billed"]) for line in lines] == [(529, False), (529, False), (200, True)]
    assert lines[2]["usage"] == answers[2][1]["usage"]
    assert (lines[2]["build"], lines[2]["user_id"], lines[2]["script"]) == ("build-1", "user-1", "faulty")
    assert re.fullmatch(r"[0-9a-f]{64}", lines[2]["request_sha256"])


async def test_armed_faults_hit_the_next_calls_of_anyone(simulation: Simulation) -> None:
    fault = {"kind": "rate_limited", "times": 1, "retry_after": "7"}
    async with simulation.http.post(f"{simulation.url}/control/faults", json=fault) as answer:
        assert answer.status == 200
    talk = simulation.converse("bench-2")
    assert (await talk.post())[0] == 429
    assert (await talk.post())[0] == 200


async def test_tokens_are_counted_without_a_script(simulation: Simulation) -> None:
    body = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "x" * 4000}]}
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with simulation.http.post(f"{simulation.url}/v1/messages/count_tokens", json=body, headers=headers) as answer:
        assert 1000 <= (await answer.json())["input_tokens"] < 1020
