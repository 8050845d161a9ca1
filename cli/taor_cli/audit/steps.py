"""What the loop had to do next, at every place of a log, and whether it did: derived from the log alone.

The rules are those of docs/protocol.md, said once more by another hand than the loop's; see docs/decisions/0004.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from taor_cli.audit.evidence import Evidence, LogKind, LogRow
from taor_cli.audit.findings import Finding, log_row
from taor_cli.audit.messages import fields, tool_results, tool_uses

_FINISH, _ASK = "finish", "escalate"


class Next(StrEnum):
    """What a log asks for after an entry."""

    SETUP = "write down how the agent is set up"
    BRIEF = "write down what it is asked for"
    THINK = "call the model"
    ACT = "answer its tool calls"
    NUDGE = "ask it to go on, or give up"
    AWAIT = "wait for its user"
    CLOSE = "end as it has finished"
    NOTHING = "leave it alone"


def next_step(before: LogRow | None, answer: LogRow | None) -> Next:
    """What comes after `before`, which follows the answer `answer` when that is the entry ahead of it."""
    if before is None or before.origin_build_id:
        return Next.SETUP
    match before.kind:
        case LogKind.HEAD:
            return Next.BRIEF
        case LogKind.ASSISTANT:
            return Next.ACT if tool_uses(before) else Next.NUDGE
        case LogKind.USER:
            accepted = _accepted(answer, before)
            return Next.CLOSE if _FINISH in accepted else Next.AWAIT if _ASK in accepted else Next.THINK
        case _:
            return Next.NOTHING


def as_decided(evidence: Evidence) -> Iterator[Finding]:
    """Every entry is one that the log before it asked for."""
    before, answer = None, None
    for row in evidence.log:
        step = next_step(before, answer)
        if not row.origin_build_id and not _leads_to(step, row, before, answer):
            yield Finding(log_row(row.sequence), f"the log before it said: {step}; this is of kind {row.kind}")
        answer, before = before, row
    if before is not None and evidence.build.state.is_ended and before.kind is not LogKind.OUTCOME:
        step = next_step(before, answer)
        yield Finding(log_row(before.sequence), f"the build has ended, but its log says: {step}")


def _leads_to(step: Next, row: LogRow, before: LogRow | None, answer: LogRow | None) -> bool:
    """Whether the loop may have written `row`. People may say a word, or cancel, at any turn."""
    is_word = row.kind is LogKind.USER and bool(row.inbox_ids) and not tool_results(row)
    ending = str(fields(row).get("state")) if row.kind is LogKind.OUTCOME else ""
    is_note = row.kind is LogKind.USER and not tool_results(row)
    # Whoever has only taken it over, as several did before it in vain, may give it up wherever it stands.
    if ending == "FAILED" and before is not None and row.epoch > before.epoch and step is not Next.NOTHING:
        return True
    match step:
        case Next.SETUP:
            return row.kind is LogKind.HEAD or (before is not None and is_note)
        case Next.BRIEF:
            return is_note
        case Next.THINK:
            return row.kind is LogKind.ASSISTANT or is_note or ending in ("FAILED", "CANCELLED")
        case Next.ACT:
            return before is not None and len(tool_results(row)) == len(tool_uses(before))
        case Next.NUDGE:
            return (is_note and not row.inbox_ids) or ending in ("FAILED", "CANCELLED")
        case Next.AWAIT:
            return is_word or ending == "CANCELLED"
        case Next.CLOSE:
            return is_word or ending == "CANCELLED" or (bool(ending) and _says_so(answer, fields(row)))
        case Next.NOTHING:
            return False


def _accepted(answer: LogRow | None, results: LogRow) -> frozenset[str]:
    """The tools that `answer` has called and whose result is good."""
    if answer is None or answer.kind is not LogKind.ASSISTANT:
        return frozenset()
    paired = zip(tool_uses(answer), tool_results(results), strict=False)
    return frozenset(use.name for use, result in paired if not result.failed)


def _says_so(answer: LogRow | None, outcome: Mapping[str, object]) -> bool:
    """Whether the outcome is what the call of `finish` in this answer has told."""
    finishes = [use.arguments for use in tool_uses(answer) if use.name == _FINISH] if answer else []
    told = [("FAILED" if each.get("outcome") == "failed" else "SUCCEEDED", each.get("summary")) for each in finishes]
    return (outcome.get("state"), outcome.get("message")) in told
