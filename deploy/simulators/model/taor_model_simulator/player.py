"""Decides what a script says next. The position is read from the history alone: the server may restart at any time."""

from __future__ import annotations

from taor_model_simulator.history import turns
from taor_model_simulator.request import Object, Request
from taor_model_simulator.script import Script, Step, Tool, finish

MAX_REPEATS = 8


def next_step(script: Script, request: Request) -> tuple[int, Step]:
    """The number of the step and the step. An answer that was cut off by `max_tokens` is played again."""
    history = list(turns(request.messages))
    answers, results = ([blocks for _, role, blocks in history if role == each] for each in ("assistant", "user"))
    position, complete = 0, True
    for blocks, answered in zip(answers, results[1:], strict=True):
        complete = position < len(script.steps) and _played(script.steps[position], blocks, answered)
        position += complete
    if answers and complete and (problem := _disappointment(script.steps[position - 1], answers[-1], history[-1][2])):
        return position, _give_up(script, position, problem)
    if position >= len(script.steps):
        return position, Step(say=f"The script {script.name!r} is over.")
    if len(answers) - position > MAX_REPEATS:
        return position, _give_up(script, position, "the conversation does not follow the script")
    return position, script.steps[position]


def _played(step: Step, blocks: list[Object], results: list[Object]) -> bool:
    calls = [(block.get("name"), block.get("input")) for block in blocks if block["type"] == "tool_use"]
    wanted = [(tool.name, tool.input) for tool in step.tools]
    return calls == wanted and not (
        step.again and any(step.again in _text(block.get("content", "")) for block in results)
    )


def _disappointment(step: Step, answer: list[Object], results: list[Object]) -> str:
    """What a result of the step just played lacks; empty if the script may go on."""
    texts = {block.get("tool_use_id"): _text(block.get("content", "")) for block in results}
    ids = [block.get("id") for block in answer if block["type"] == "tool_use"]
    for tool, use_id in zip(step.tools, ids, strict=True):
        text = texts[use_id]
        if tool.expect and tool.expect not in text:
            return f"expected {tool.expect!r} from {_label(tool)}, but it gave:\n{text[-600:]}"
        if tool.reject and tool.reject in text:
            return f"did not expect {tool.reject!r} from {_label(tool)}, but it gave:\n{text[-600:]}"
    return ""


def _give_up(script: Script, position: int, problem: str) -> Step:
    say = f"This is a script, and after step {position} of {script.name!r} things are not as it knows them: {problem}"
    summary = f"The scripted build failed: {problem}"
    end = finish(summary, outcome="failed", command=f"script {script.name} up to step {position}", found=problem)
    return Step(say=say, tools=(end,))


def _label(tool: Tool) -> str:
    return f"{tool.name} {str(tool.input.get('command') or tool.input.get('path') or '')[:80]}".strip()


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return str(content)
