"""The requests that the orchestrator derives from its log are accepted by a strict server, and cached."""

from __future__ import annotations

from datetime import UTC, datetime

from taor_orchestrator import context
from taor_orchestrator.build import Assignment
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.model import open_model
from taor_orchestrator.transcript import ToolAnswer, tool_uses
from tests.support.scripted_model import Simulation

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def grow(history: History, kind: EntryKind, body: bytes) -> History:
    return history.grow(Entry(history.head + 1, 1, 1, kind, body))


async def test_a_whole_log_is_accepted_turn_by_turn_and_read_from_the_cache(simulation: Simulation) -> None:
    model = open_model(api_key="test", base_url=simulation.url)
    assignment = Assignment(
        brief="Count.\ntaor-script: synthetic turns=6 tools=2 mix=files", clarifications=(), plan="Go."
    )
    history = grow(History(), EntryKind.HEAD, context.head_body("claude-sonnet-5-5"))
    history = grow(history, EntryKind.USER, context.assignment_body("build-1", assignment))
    reads = []
    for turn in range(6):
        request = context.request_body(history, 4000 + turn)
        answer = await model.call(request, on_delta=None, timeout_seconds=60)
        assert answer.usage is not None
        reads.append((answer.usage.cache_read_tokens, answer.usage.prompt_tokens))
        history = grow(history, EntryKind.ASSISTANT, answer.message)
        assert history.tail is not None
        uses = tool_uses(history.tail)
        history = grow(history, EntryKind.USER, context.results_body(uses, [ToolAnswer("ok")] * len(uses)))
    await model.close()
    # Each turn reads from the cache all that the one before has sent.
    assert [read for read, _ in reads[1:]] == [prompt for _, prompt in reads[:-1]], (
        "each turn reads all of the one before"
    )
    assert {line["build"] for line in simulation.record()} == {"build-1"}
