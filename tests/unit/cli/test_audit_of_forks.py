"""What the audit asks of a fork: all of what is its own, and of what it has inherited that it is whole."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from taor_cli.audit.evidence import Evidence
from taor_cli.audit.report import audit
from taor_cli.builds import BuildState
from taor_cli.events import Ended, Event, Forked, StateChanged, What
from tests.support.clean_evidence import BEGAN, clean_evidence

ORIGIN = "0198f3a1-0000-7000-8000-00000000aaaa"
INHERITED = 4
"""Entries: the first turn of the clean build."""
# Those that look at the log, the operations and the events; money is the same for every build.
CHECKS = {1, 2, 3, 10, 11, 12, 13}


def fork_evidence() -> Evidence:
    """The clean build as if its first turn had been another's."""
    evidence = clean_evidence()
    inherited = (
        replace(row, epoch=0, origin_build_id=ORIGIN, call=row.call and replace(row.call, rid=f"{ORIGIN}/1/0"))
        for row in evidence.log[:INHERITED]
    )
    operation = replace(evidence.operations[0], op_id=f"{ORIGIN}/1/0/2", generation=0)
    own = [each.what for each in evidence.events if not each.log_sequence]
    derived = [each for each in evidence.events if each.log_sequence > INHERITED]
    told = [*_events(Forked(ORIGIN, 1), *own), *derived]
    return replace(
        evidence,
        log=(*inherited, *evidence.log[INHERITED:]),
        operations=(operation,),
        snapshots=(replace(evidence.snapshots[0], covers_op_id=operation.op_id),),
        events=tuple(replace(each, sequence=number) for number, each in enumerate(told, start=1)),
        build=replace(evidence.build, last_event_sequence=len(told)),
    )


def _events(*told: What) -> tuple[Event, ...]:
    return tuple(Event(number, 0, BEGAN, what) for number, what in enumerate(told, start=1))


def _found(evidence: Evidence) -> set[int]:
    return {line.number for line in audit(evidence) if line.number in CHECKS and line.findings}


def test_a_fork_is_whole_though_nothing_of_its_beginning_was_told_again() -> None:
    assert _found(fork_evidence()) == set()


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (1, lambda it: replace(it, log=(it.log[0], replace(it.log[1], body=b"{}"), *it.log[2:]))),
        (3, lambda it: replace(it, log=(replace(it.log[0], body=b'{"model":1}'), *it.log[1:]))),
        (10, lambda it: replace(it, operations=(replace(it.operations[0], op_id=f"{ORIGIN}/1/9/2"),))),
        (13, lambda it: replace(it, events=clean_evidence().events)),
        (13, lambda it: replace(it, log=tuple(replace(row, origin_build_id=ORIGIN) for row in it.log))),
    ],
)
def test_a_broken_fork_is_found(check: int, broken: Callable[[Evidence], Evidence]) -> None:
    assert check in _found(broken(fork_evidence()))


def test_a_fork_that_could_not_be_made_has_an_end_and_no_log() -> None:
    ended = Ended(BuildState.FAILED, "It could not be forked: gone", "", "", 0)
    events = _events(Forked(ORIGIN, 1), StateChanged(BuildState.FORKING, BuildState.FAILED, ""), ended)
    evidence = clean_evidence()
    failed = replace(
        evidence,
        build=replace(evidence.build, state=BuildState.FAILED, last_event_sequence=3),
        inspection=replace(evidence.inspection, projected_sequence=0),
        log=(),
        operations=(),
        snapshots=(),
        sandbox=None,
        events=events,
    )
    assert _found(failed) == set()
