"""Checks 14 and 15: what was sent to the build was heard once, and nobody works on it who should not."""

from collections import Counter
from collections.abc import Iterator

from taor_cli.audit.evidence import Evidence, HoldState
from taor_cli.audit.findings import Check, Finding
from taor_cli.builds import BuildState

_GONE = ("KEPT", "PAUSED", "DESTROYED", "FENCED")


def heard(evidence: Evidence) -> Iterator[Finding]:
    """14: what is marked as read is named by exactly that log entry; nothing is paid for after a cancellation."""
    named = Counter(inbox_id for row in evidence.log for inbox_id in row.inbox_ids)
    carriers = {inbox_id: row for row in evidence.log for inbox_id in row.inbox_ids}
    known = {item.inbox_id for item in evidence.inspection.inbox}
    for inbox_id, count in named.items():
        if count > 1 or inbox_id not in known:
            yield Finding(
                f"inbox {inbox_id}", f"is named by {count} log entries, and {'' if inbox_id in known else 'un'}known"
            )
    for item in evidence.inspection.inbox:
        row = carriers.get(item.inbox_id)
        if (row.sequence if row else 0) != item.log_sequence:
            where = f"by log {row.sequence}" if row else "by none"
            yield Finding(f"inbox {item.inbox_id}", f"is marked as read by log {item.log_sequence}, but named {where}")
        elif row and item.is_cancel:
            for hold in evidence.holds:
                if hold.reserve_time > row.append_time and hold.state is not HoldState.RELEASED:
                    yield Finding(
                        f"reservation {hold.rid}", f"was reserved after the cancellation in log {row.sequence}"
                    )


def fenced(evidence: Evidence) -> Iterator[Finding]:
    """15: no fence is above the orchestrator's epoch; an ended build has no ticket and no working sandbox."""
    epoch = evidence.inspection.epoch
    fences = {
        "checkpoint": evidence.checkpoint_epoch,
        "log": max((row.epoch for row in evidence.log), default=0),
        "sandbox": evidence.sandbox.epoch if evidence.sandbox else 0,
        "budget": max((hold.epoch for hold in evidence.holds), default=0),
    }
    for name, fence in fences.items():
        if fence > epoch:
            yield Finding(f"fence of {name}", f"is at epoch {fence}, the build at {epoch}")
    yield from _one_place(evidence)
    if evidence.build.state.is_ended and evidence.sandbox and evidence.sandbox.state not in _GONE:
        yield Finding(f"sandbox {evidence.sandbox.generation}", f"is {evidence.sandbox.state}, its build has ended")


def _one_place(evidence: Evidence) -> Iterator[Finding]:
    state, ticketed = evidence.build.state, evidence.inspection.ticketed
    name = f"build {evidence.build.build_id}"
    if state.is_resting and ticketed:
        yield Finding(name, f"is {state} and has a ticket")
    if state is BuildState.QUEUED and not ticketed:
        yield Finding(name, "is QUEUED and has no ticket")
    if state in (BuildState.SLEEPING, BuildState.WAITING_BUDGET) and evidence.build.wake_time is None:
        yield Finding(name, f"is {state} and has no time to wake")


CHECKS = (
    Check(14, "what was sent to the build was heard once", heard, at_rest_only=True),
    Check(15, "no fence is ahead, and the build is in one place", fenced, reads_log=False),
)
