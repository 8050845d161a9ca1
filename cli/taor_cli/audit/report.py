"""The audit itself: every check over the evidence, and what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from taor_cli.audit import events, fences, holds, journal, log, money, tools
from taor_cli.audit.evidence import Evidence
from taor_cli.audit.findings import Check, Finding

_ROOMS = (log, money, holds, journal, tools, events, fences)
CHECKS: tuple[Check, ...] = tuple(
    sorted((check for room in _ROOMS for check in room.CHECKS), key=lambda check: check.number)
)
MAX_FINDINGS_PER_CHECK = 20


class Verdict(StrEnum):
    """What a check came to."""

    CLEAN = "clean"
    BROKEN = "broken"
    NOT_NOW = "not now"
    """It says something only of a build that rests."""
    UNREADABLE = "unreadable"
    """The log cannot be read to its end."""


@dataclass(frozen=True, slots=True)
class Line:
    """One check and what it found; at most twenty findings are named."""

    number: int
    title: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()


def audit(evidence: Evidence) -> tuple[Line, ...]:
    """Run every check."""
    return tuple(_run(check, evidence) for check in CHECKS)


def lines(report: tuple[Line, ...]) -> Iterator[tuple[str, bool]]:
    """The report for people: each line with whether it is bad news."""
    for line in report:
        mark, remark = _MARKS[line.verdict]
        yield f"{mark} {line.number:>2} {line.title}{remark}", line.verdict is Verdict.BROKEN
        for finding in line.findings:
            yield f"     {finding.row}: {finding.message}", True


_MARKS = {
    Verdict.CLEAN: ("✓", ""),
    Verdict.BROKEN: ("✗", ""),
    Verdict.NOT_NOW: ("–", " (only of a build at rest)"),
    Verdict.UNREADABLE: ("–", " (the log cannot be read)"),
}


def _run(check: Check, evidence: Evidence) -> Line:
    if check.at_rest_only and not evidence.build.state.is_resting:
        return Line(check.number, check.title, Verdict.NOT_NOW)
    if check.reads_log and evidence.log_unreadable:
        return Line(check.number, check.title, Verdict.UNREADABLE)
    findings = tuple(islice(check.look(evidence), MAX_FINDINGS_PER_CHECK))
    return Line(check.number, check.title, Verdict.BROKEN if findings else Verdict.CLEAN, findings)
