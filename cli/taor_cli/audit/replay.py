"""A build driven through its log again, turn by turn: is each step, request, event and booking what the log gives?

No model, no sandbox and none of the services' code take part; see docs/decisions/0004.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from taor_cli.audit import log, money, steps
from taor_cli.audit.events import Fact, fact_of_event, facts_of_entry
from taor_cli.audit.evidence import Evidence, LogKind, LogRow
from taor_cli.audit.findings import Finding, log_row
from taor_cli.view.text import dollars


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model with what follows it up to the next; turn 0 is what stands before the first."""

    number: int
    first_sequence: int
    last_sequence: int
    request_sha256: str
    """In hexadecimal, as computed anew and found equal, unless a finding says otherwise; empty for turn 0."""
    events: int
    booked_microdollars: int
    findings: tuple[Finding, ...]


def replay(evidence: Evidence) -> tuple[Turn, ...]:
    """Every turn of the log, each with what is not as the log gives it."""
    wrong = _wrong(evidence)
    booked = {hold.rid: hold.booked_microdollars for hold in evidence.holds}
    told = _told(evidence)
    derived = len(evidence.log) if evidence.build.state.is_resting else max(told, default=0)
    turns = []
    for number, rows in enumerate(_turns(evidence.log)):
        call = rows[0].call
        findings = [finding for row in rows for finding in wrong[log_row(row.sequence)]]
        findings += wrong[f"reservation {call.rid}"] if call else []
        for row in rows:
            is_told = row.sequence <= derived and not row.origin_build_id
            expected = Counter(facts_of_entry(evidence.log, row, number)) if is_told else Counter()
            if expected != told[row.sequence]:
                findings.append(Finding(log_row(row.sequence), "its events are not those that it gives"))
        turns.append(
            Turn(
                number=number,
                first_sequence=rows[0].sequence,
                last_sequence=rows[-1].sequence,
                request_sha256=call.request_sha256.hex() if call else "",
                events=sum(told[row.sequence].total() for row in rows),
                booked_microdollars=booked.get(call.rid, 0) if call else 0,
                findings=tuple(findings),
            )
        )
    return tuple(turns)


def turn_lines(turns: tuple[Turn, ...]) -> Iterator[tuple[str, bool]]:
    """The turns for people: each line with whether it is bad news."""
    for turn in turns:
        mark, name = "✗" if turn.findings else "✓", f"turn {turn.number}" if turn.number else "opening"
        entries = f"log {turn.first_sequence}–{turn.last_sequence}"
        request = f"request {turn.request_sha256[:12]}  {dollars(turn.booked_microdollars)}  " if turn.number else ""
        yield f"{mark} {name:<9} {entries:<12} {request}{turn.events} events", bool(turn.findings)
        for finding in turn.findings:
            yield f"     {finding.row}: {finding.message}", True


def _told(evidence: Evidence) -> defaultdict[int, Counter[Fact]]:
    """What the events tell, by the entry that they are derived from."""
    told: defaultdict[int, Counter[Fact]] = defaultdict(Counter)
    for event in evidence.events:
        if (fact := fact_of_event(event)) is not None:
            told[event.log_sequence][fact] += 1
    return told


def _wrong(evidence: Evidence) -> defaultdict[str, list[Finding]]:
    """What is wrong with steps, requests, results and bookings, by the row that it names."""
    by_row: defaultdict[str, list[Finding]] = defaultdict(list)
    for look in (steps.as_decided, log.answered, log.as_sent, money.settled):
        for finding in look(evidence):
            by_row[finding.row].append(finding)
    return by_row


def _turns(rows: tuple[LogRow, ...]) -> Iterator[tuple[LogRow, ...]]:
    turn: list[LogRow] = []
    for row in rows:
        if row.kind is LogKind.ASSISTANT and turn:
            yield tuple(turn)
            turn = []
        turn.append(row)
    if turn:
        yield tuple(turn)
