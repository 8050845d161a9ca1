"""A replay of a clean build finds nothing; changed in one place, it names the turn."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from taor_cli.audit.evidence import Evidence, HoldState
from taor_cli.audit.replay import replay, turn_lines
from taor_cli.events import TurnTaken
from tests.support.clean_evidence import FIRST_COST, SECOND_RID, clean_evidence, with_log_row

Break = Callable[[Evidence], Evidence]


def test_every_turn_of_a_clean_build_comes_out_the_same() -> None:
    evidence = clean_evidence()
    opening, first, second = replay(evidence)
    assert (opening.number, opening.events) == (0, 0)
    assert (first.first_sequence, first.last_sequence, first.events) == (3, 4, 9)
    assert first.booked_microdollars == FIRST_COST
    assert second.last_sequence == len(evidence.log)
    lines = [text for text, is_bad in turn_lines(replay(evidence)) if not is_bad]
    assert len(lines) == 3
    assert lines[1].startswith("✓ turn 1    log 3–4      request ")


def _body(sequence: int, old: bytes, new: bytes) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        row = evidence.log[sequence - 1]
        assert old in row.body
        return with_log_row(evidence, sequence, replace(row, body=row.body.replace(old, new)))

    return broken


def _event(number: int, **changes: object) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        event = evidence.events[number - 1]
        changed = replace(event, what=replace(event.what, **changes))  # type: ignore[arg-type] # by name
        return replace(evidence, events=(*evidence.events[: number - 1], changed, *evidence.events[number:]))

    return broken


def _booked_more(evidence: Evidence) -> Evidence:
    holds = [
        replace(hold, booked_microdollars=hold.booked_microdollars + 1) if hold.rid == SECOND_RID else hold
        for hold in evidence.holds
    ]
    assert any(hold.state is HoldState.SETTLED for hold in holds)
    return replace(evidence, holds=tuple(holds))


def _without(sequence: int) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        return replace(evidence, log=(*evidence.log[: sequence - 1], *evidence.log[sequence:]))

    return broken


def _again(sequence: int) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        return replace(evidence, log=(*evidence.log, evidence.log[sequence - 1]))

    return broken


def _event_dropped(evidence: Evidence) -> Evidence:
    return replace(evidence, events=evidence.events[:5] + evidence.events[6:])


@pytest.mark.parametrize(
    ("change", "turns"),
    [
        (_body(2, b"A shop.", b"A shed."), [1, 2]),
        (_body(4, b"9 passed", b"8 passed"), [2]),
        (_event(2, text="Look away."), [1]),
        (_event(6, message="I look down."), [1]),
        (_event_dropped, [1]),
        (_booked_more, [2]),
        (_body(7, b"SUCCEEDED", b"FAILED"), [2]),
        (_body(7, b"It runs.", b"It does."), [2]),
    ],
)
def test_what_differs_is_told_with_its_turn(change: Break, turns: list[int]) -> None:
    assert isinstance(clean_evidence().events[1].what, TurnTaken)
    replayed = replay(change(clean_evidence()))
    assert [turn.number for turn in replayed if turn.findings] == turns
    assert any(is_bad for _, is_bad in turn_lines(replayed))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without(4), "log 5: the log before it said: answer its tool calls; this is of kind ASSISTANT"),
        (_without(6), "log 7: the log before it said: answer its tool calls; this is of kind OUTCOME"),
        (_without(7), "log 6: the build has ended, but its log says: end as it has finished"),
        (_without(2), "log 3: the log before it said: write down what it is asked for; this is of kind ASSISTANT"),
        (_again(3), "log 3: the log before it said: leave it alone; this is of kind ASSISTANT"),
        (
            _body(6, b'"The build is finished."', b'"No.", "is_error": true'),
            "log 7: the log before it said: call the model",
        ),
    ],
)
def test_a_step_that_the_log_did_not_ask_for_is_told(change: Break, said: str) -> None:
    found = [f"{each.row}: {each.message}" for turn in replay(change(clean_evidence())) for each in turn.findings]
    assert any(each.startswith(said) for each in found)
