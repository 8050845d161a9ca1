"""The tools without an effect of their own: what they do is read from the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from taor_orchestrator import escalation, guards
from taor_orchestrator.build import BuildState, Outcome
from taor_orchestrator.history import History
from taor_orchestrator.transcript import ToolAnswer, Use, tool_uses

NAMES = ("narrate", "document", escalation.TOOL, "finish")
SECTIONS = ("overview", "features", "getting_started", "faq")
FINISHED = "The build is finished."


def answer(use: Use, history: History) -> ToolAnswer:
    """What the model reads after it called a local tool."""
    match use.name:
        case "narrate":
            return _check(use, {"message": str}, "Shown to your user.")
        case "document":
            if use.input.get("section") not in SECTIONS:
                return ToolAnswer(f"`section` is one of {', '.join(SECTIONS)}.", failed=True)
            return _check(use, {"section": str, "content": str}, "Saved.")
        case escalation.TOOL:
            return _answer_escalate(use, history)
        case _:
            return _answer_finish(use, history)


def outcome_of(use: Use) -> Outcome:
    """The outcome that an accepted `finish` stands for."""
    verification = use.input["verification"]
    port = use.input.get("preview_port")
    assert isinstance(verification, dict)
    return Outcome(
        state=BuildState.FAILED if use.input.get("outcome") == "failed" else BuildState.SUCCEEDED,
        message=str(use.input["summary"]),
        verification_command=str(verification["command"]),
        verification_outcome=str(verification["outcome"]),
        preview_port=port if isinstance(port, int) else 0,
    )


def outcome_body(outcome: Outcome) -> bytes:
    """The body of an OUTCOME entry."""
    return orjson.dumps(
        {
            "state": outcome.state.value,
            "message": outcome.message,
            "verification_command": outcome.verification_command,
            "verification_outcome": outcome.verification_outcome,
            "preview_port": outcome.preview_port,
        }
    )


def read_outcome(body: bytes) -> Outcome:
    """The outcome that an OUTCOME entry tells."""
    fields = orjson.loads(body)
    return Outcome(**(fields | {"state": BuildState(fields["state"])}))


def _answer_escalate(use: Use, history: History) -> ToolAnswer:
    assert history.tail is not None
    earlier = [each for each in tool_uses(history.tail) if each.index < use.index]
    if refusal := escalation.problem(use, earlier):
        return ToolAnswer(refusal, failed=True)
    return ToolAnswer(escalation.ASKED)


def _answer_finish(use: Use, history: History) -> ToolAnswer:
    verification = use.input.get("verification")
    if not isinstance(verification, dict):
        return ToolAnswer("finish needs `verification` with `command` and `outcome`.", failed=True)
    if missing := _missing(verification, {"command": str, "outcome": str}):
        return ToolAnswer(f"finish needs `verification.{missing}` as a string.", failed=True)
    failed = use.input.get("outcome") == "failed"
    if not failed and (reason := guards.unverified(history)):
        return ToolAnswer(reason, failed=True)
    return _check(use, {"summary": str}, FINISHED)


def _check(use: Use, needed: Mapping[str, type], done: str) -> ToolAnswer:
    if missing := _missing(use.input, needed):
        return ToolAnswer(f"{use.name} needs `{missing}` as a string that is not empty.", failed=True)
    return ToolAnswer(done)


def _missing(fields: Mapping[str, object], needed: Mapping[str, type]) -> str | None:
    for name, kind in needed.items():
        if not isinstance(fields.get(name), kind) or not fields[name]:
            return name
    return None
