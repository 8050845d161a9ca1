"""The upgrade gate: what old builds sent, told and decided, this version would send, tell and decide, too.

A build goes on under a new release from the log that an old one wrote. Its requests must keep their bytes (signatures
and the prompt cache hang on them), its events must not change under its watchers, and the loop must not turn elsewhere.
A kept build is never changed to make this pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli.audit import steps
from taor_cli.audit.evidence import LogKind, LogRow
from taor_orchestrator import context, localtools
from taor_orchestrator.build import BuildState
from taor_orchestrator.events import derive
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.recovery import Act, Await, Begin, Close, Leave, Nudge, Step, Think, next_step
from taor_orchestrator.store.events import StoredEvent
from taor_orchestrator.store.payloads import payload_of
from taor_orchestrator.transcript import tool_results, tool_uses
from taor_orchestrator.translate import wire_event
from tests.replay.keep import CORPUS
from tests.replay.recording import NO_TIME, Recording, event_fields, prefixes, read

# The limits of a build (turns, stalls, refusals) are the loop's own: where it closes by them, a log may as well go on.
SAME: Mapping[type[Step], set[steps.Next]] = {
    Begin: {steps.Next.SETUP, steps.Next.BRIEF},
    Think: {steps.Next.THINK},
    Act: {steps.Next.ACT},
    Nudge: {steps.Next.NUDGE},
    Await: {steps.Next.AWAIT},
    Close: {steps.Next.CLOSE, steps.Next.NUDGE, steps.Next.THINK},
    Leave: {steps.Next.NOTHING},
}
KEPT = sorted(CORPUS.glob("*.jsonl"))


@pytest.fixture(params=KEPT, ids=[path.stem for path in KEPT])
def path(request: pytest.FixtureRequest) -> Path:
    """One kept build after the other."""
    assert isinstance(request.param, Path)
    return request.param


def test_something_is_kept() -> None:
    assert len(KEPT) >= 2


def test_every_request_has_the_bytes_that_were_sent(path: Path) -> None:
    for before, entry in prefixes(read(path).history):
        if entry.call is not None:
            request = context.request_body(before, entry.call.max_output_tokens)
            assert hashlib.sha256(request).digest() == entry.call.request_sha256, f"entry {entry.sequence}"


def test_every_event_is_derived_as_it_was_told(path: Path) -> None:
    kept = read(path)
    assert [event_fields(event) for event in _derived(kept)] == list(kept.events)


def test_every_decision_leads_to_what_was_done(path: Path) -> None:
    for before, entry in prefixes(read(path).history):
        step = next_step(before)
        assert _leads_to(step, before, entry), f"{step} before entry {entry.sequence}, a {entry.kind.value}"


def test_the_command_line_decides_as_the_loop_does(path: Path) -> None:
    """`taor replay` derives the steps by itself; see docs/decisions/0004."""
    rows = [_row(entry) for entry in read(path).history.entries]
    for before, entry in prefixes(read(path).history):
        seen: list[LogRow | None] = [None, None, *rows[: entry.sequence - 1]]
        theirs = steps.next_step(before=seen[-1], answer=seen[-2])
        assert theirs in SAME[type(next_step(before))], f"before entry {entry.sequence}"


def test_the_end_is_the_end(path: Path) -> None:
    history = read(path).history
    assert isinstance(next_step(history), Leave)


def test_a_request_with_one_other_byte_is_noticed(path: Path) -> None:
    history = read(path).history
    last = next(entry for entry in reversed(history.entries) if entry.call is not None)
    assert last.call is not None
    request = context.request_body(History(history.entries[: last.sequence - 1]), last.call.max_output_tokens + 1)
    assert hashlib.sha256(request).digest() != last.call.request_sha256


def _derived(kept: Recording) -> list[pb.Event]:
    stored = (StoredEvent(0, each.log_sequence, payload_of(each.event), NO_TIME) for each in derive(kept.history, 0))
    return [wire_event(each) for each in stored]


def _leads_to(step: Step, before: History, entry: Entry) -> bool:
    """Whether the loop may have written `entry` when `step` was next. People may add a word, or cancel, at any turn."""
    is_word = entry.kind is EntryKind.USER and bool(entry.inbox_ids)
    is_cancelled = _is_end(entry, BuildState.CANCELLED)
    match step:
        case Begin():
            return entry.kind is (EntryKind.HEAD if before.tail is None else EntryKind.USER)
        case Think():
            is_note = entry.kind is EntryKind.USER and not tool_results(entry)
            return entry.kind is EntryKind.ASSISTANT or is_note or is_cancelled or _is_end(entry, BuildState.FAILED)
        case Act(answer):
            return len(tool_results(entry)) == len(tool_uses(answer)) > 0
        case Nudge():
            return (entry.kind is EntryKind.USER and not entry.inbox_ids) or is_cancelled
        case Await():
            return is_word or is_cancelled
        case Close(outcome):
            return is_word or is_cancelled or entry.body == localtools.outcome_body(outcome)
        case Leave():
            return False
        case _:
            assert_never(step)


def _row(entry: Entry) -> LogRow:
    kind = LogKind(entry.kind.value)
    return LogRow(entry.sequence, entry.segment, entry.epoch, kind, entry.body, b"", entry.inbox_ids, None, NO_TIME)


def _is_end(entry: Entry, state: BuildState) -> bool:
    return entry.kind is EntryKind.OUTCOME and localtools.read_outcome(entry.body).state is state
