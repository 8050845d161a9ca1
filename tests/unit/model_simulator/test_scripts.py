"""Scripts are read strictly: a mistake is named, never played."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from taor_model_simulator import player, request, scriptfile, synthetic
from taor_model_simulator.errors import ScriptError
from taor_model_simulator.request import Object, Request
from taor_model_simulator.script import FaultKind, Script, Step, Tool


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least one"),
        ("step = 1", r"\[\[step\]\]"),
        ("[[step]]\n[[step.tool]]\ninput = {}", "step 1: a tool needs a name"),
        ('[[step]]\n[[step.tool]]\nname = "x"\nfiles = { a = "../secret" }', "outside the script's folder"),
        ('[[step]]\n[[step.tool]]\nname = "x"\nfiles = { a = "missing" }', "No such file"),
        ('[[step]]\nfault = { kind = "flood" }', "flood"),
        ("[[step]]\nlatency_ms = 'soon'", "soon"),
        ("[[step]", "line 1"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "script.toml"
    path.write_text(text)
    with pytest.raises(ScriptError, match=words):
        scriptfile.load(path)


@pytest.mark.parametrize(
    "line", ["synthetic turns=0", "synthetic speed=9", "bench-5 mix=soup", "bench-5 tools=x", "bench-9999 bytes=100000"]
)
def test_a_synthetic_script_beyond_reason_is_refused(line: str) -> None:
    with pytest.raises(ScriptError):
        synthetic.recipe(line)


def test_a_step_reads_its_defaults_and_its_fault(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text('latency_ms = 500\n[[step]]\nfault = { kind = "reset", times = 2 }\n[[step]]\nlatency_ms = 0\n')
    script, files = scriptfile.load(path)
    first, second = script.steps
    assert (first.latency_seconds, second.latency_seconds) == (0.5, 0.0)
    assert first.fault is not None
    assert (first.fault.kind, first.fault.times) == (FaultKind.RESET, 2)
    assert files == (path,)


def test_a_step_that_was_cut_short_is_played_again() -> None:
    first, second = (Step(tools=(Tool("bash", {"command": each}),), again="cut short") for each in ("make", "test"))
    script = Script("stubborn", (first, second))
    assert player.next_step(script, _after("make", "cut short")) == (0, first)
    assert player.next_step(script, _after("make", "built")) == (1, second)


def _after(command: str, result: str) -> Request:
    use: Object = {"type": "tool_use", "id": "1", "name": "bash", "input": {"command": command}}
    answer: Object = {"type": "tool_result", "tool_use_id": "1", "content": result}
    messages = (("user", {"type": "text", "text": "Build."}), ("assistant", use), ("user", answer))
    said = [{"role": role, "content": [block]} for role, block in messages]
    return request.parse(orjson.dumps({"model": "m", "max_tokens": 1, "messages": said}))
